"""The errors of `lab`, all under one root; every message says what to do."""

from __future__ import annotations


class LabError(Exception):
    """The root of the errors that `lab` raises."""


class MachineError(LabError):
    """This machine cannot run a lab: a right, a device or a program is missing."""


class UnknownNameError(LabError):
    """A name cannot be that of a lab, a host or a process, or there is no such host."""


class LabInUseError(LabError):
    """A running process holds the lab of that name."""


class WorldError(LabError):
    """The emulated world could not be set up, or a part of it ended."""
