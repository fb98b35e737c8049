"""The root of the errors that `ami` raises."""

from __future__ import annotations


class AmiError(Exception):
    """The root of the errors that `ami` raises; the message says what to do."""


class UnsafeValueError(AmiError):
    """A value has characters that would mean something else in a configuration file."""
