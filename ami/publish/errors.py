"""The errors of publishing."""

from __future__ import annotations

from ami.errors import AmiError


class PublishError(AmiError):
    """A disk cannot be published; the message says why and what to do."""


class PublishInterruptedError(PublishError):
    """Somebody interrupted the publication; the message says how to go on."""


class SnapshotMismatchError(PublishError):
    """The snapshot has other blocks than were sent; it is of no use."""
