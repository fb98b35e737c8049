"""The node reporter: measures the machine, answers Prometheus on the private side, and tells CloudWatch.

What cannot be measured is absent, never zero; what fails is a figure of its own and one line in the log.
"""
