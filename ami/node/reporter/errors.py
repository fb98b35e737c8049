"""What the reporter raises."""

from __future__ import annotations

from ami.errors import AmiError


class ReporterError(AmiError):
    """The reporter cannot start; the message says what to do."""


class MeasuringError(AmiError):
    """A figure cannot be measured at present; the others are not concerned."""
