"""What the WAN did: counters that its process writes once a second and anyone may read."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

LATENESS_MS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Upper bounds of the classes of lateness; a last class has what is later."""

_SIZE: Final = 4096


class WanStats(Struct):
    """Counters since the WAN began.

    `lost` are packets that the asked-for loss took, `unroutable` those to an address that no host has,
    `overflowed` those for which there was no room, in the queue of the sender's device or among those held,
    `failed` those that the receiver's device refused.
    `lateness[i]` counts the packets released at most `LATENESS_MS[i]` ms after their time.
    `max_late_ms` is the latest release of all; `max_away_ms` the longest time between two looks at the
    devices, which delays what arrives meanwhile. `cpu_s` is the process's CPU time, `written_s`
    the time of writing (monotonic clock).
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    unroutable: int = 0
    overflowed: int = 0
    failed: int = 0
    max_late_ms: float = 0.0
    max_away_ms: float = 0.0
    lateness: list[int] = field(default_factory=lambda: [0] * (len(LATENESS_MS) + 1))
    cpu_s: float = 0.0
    written_s: float = 0.0

    def later_than(self, bound_ms: float) -> int:
        """How many packets were released more than `bound_ms` late, which is one of `LATENESS_MS`."""
        return sum(self.lateness[bisect_left(LATENESS_MS, bound_ms) + 1 :])

    def since(self, earlier: WanStats) -> WanStats:
        """What happened after `earlier`; the two maxima are those of the whole time."""
        return WanStats(
            packets=self.packets - earlier.packets,
            bytes=self.bytes - earlier.bytes,
            lost=self.lost - earlier.lost,
            unroutable=self.unroutable - earlier.unroutable,
            overflowed=self.overflowed - earlier.overflowed,
            failed=self.failed - earlier.failed,
            max_late_ms=self.max_late_ms,
            max_away_ms=self.max_away_ms,
            lateness=[a - b for a, b in zip(self.lateness, earlier.lateness, strict=True)],
            cpu_s=self.cpu_s - earlier.cpu_s,
            written_s=self.written_s,
        )


class StatsFile:
    """The counters and their file, overwritten in place, since a rename may wait for the disk."""

    def __init__(self, path: Path, dropped: Callable[[], int] = lambda: 0) -> None:
        """Begins the file.

        Args:
            path: where it is.
            dropped: how many packets the devices have dropped by now, to be added to `overflowed`.
        """
        self.stats = WanStats()
        self._dropped = dropped
        self._dropped_before = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.write()

    def write(self) -> None:
        """Writes the counters."""
        dropped = self._dropped()
        self.stats.overflowed += dropped - self._dropped_before
        self._dropped_before = dropped
        self.stats.cpu_s = time.process_time()
        self.stats.written_s = time.monotonic()
        os.pwrite(self._descriptor, msgspec.json.encode(self.stats).ljust(_SIZE), 0)


def read(path: Path) -> WanStats | None:
    """The counters in the file; none when there is no such file or it is being written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WanStats)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
