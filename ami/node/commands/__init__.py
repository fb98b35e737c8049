"""What `python -m ami.node COMMAND` does: a module for each, which is imported only when it is asked for.

Each is a process of its own, most of them for as long as the machine lives: one that knew all commands would
hold the memory of all.
"""
