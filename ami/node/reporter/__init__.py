"""The node reporter: measures the machine, answers Prometheus privately, tells CloudWatch, and ships logs.

What cannot be measured is absent, never zero; what fails is a figure of its own and one line in the log.
"""
