"""Bring the machine to what it is told; its services are started only when all is right."""

from __future__ import annotations

import threading

from ami.errors import AmiError
from ami.node.boot import Boot
from ami.node.imds import Imds
from ami.node.system import Disk, run


class InterruptedBootError(AmiError):
    """The boot was told to end before it was done."""


def main(stop: threading.Event) -> None:
    """See `ami.node.boot`."""
    Boot(Imds(), Disk(), run, sleep=lambda seconds: _wait(stop, seconds)).boot()


def _wait(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise InterruptedBootError("the boot was interrupted")
