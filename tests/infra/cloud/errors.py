"""What the harness refuses, all under one root."""

from __future__ import annotations


class HarnessError(Exception):
    """The root of the errors that the harness raises."""


class RefusedError(HarnessError):
    """AWS would refuse this, although moto takes it."""


class UnmappedError(HarnessError):
    """A resource type, a look-up or a property that the harness passes on to nothing."""
