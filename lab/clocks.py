"""Clocks that differ from the machine's: libfaketime shifts what a process is told of the time of day."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.errors import MachineError
from lab.files import write

SETTABLE: Final = ("api-", "ledger", "redis")
"""What the names of the processes begin with whose clocks can be set.

MariaDB's cannot: it waits by the time of day, which libfaketime would have it wait for on another clock.
"""

PACKAGES: Final = {"faketime": "faketime"}

_LIBRARIES: Final = Path("/usr/lib")
_LIBRARY: Final = "*/faketime/libfaketimeMT.so.1"
_READ_EVERY_S: Final = "1"


def prefix(clock: Path) -> list[str]:
    """What goes before a command so that its clock is the one that `clock` says; it is right at first.

    The C library is named after libfaketime so that its memory allocator is the one that is used: that of
    Redis asks for the time while libfaketime is being loaded, which ends neither.

    Raises:
        MachineError: when libfaketime is not installed.
    """
    library = next(_LIBRARIES.glob(_LIBRARY), None)
    if library is None:
        raise MachineError("libfaketime is missing; install it with apt-get install faketime")
    if not clock.exists():
        set_clock(clock, 0.0)
    return [
        "env",
        f"LD_PRELOAD={library} libc.so.6",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        f"FAKETIME_CACHE_DURATION={_READ_EVERY_S}",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]


def set_clock(clock: Path, ahead_s: float) -> None:
    """Sets the clock so many seconds ahead (negative: behind); the process sees it within a second."""
    write(clock, f"{ahead_s:+f}\n")
