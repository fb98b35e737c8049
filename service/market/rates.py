"""How often something may happen, by key, counted without a timer.

It is the generic cell rate algorithm (ITU-T I.371), a token bucket that is one number per key: the time at
which the bucket would be full again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Rate:
    """So many per second of each key, and `burst_s` seconds' worth at once.

    A key is forgotten when its bucket is full again: keys are kept in two generations, the older of which is
    dropped as a whole.

    Args:
        per_s: the rate; 0 is no limit.
        burst_s: how many seconds' worth may come at once; at least one is granted.
        clock: the time in seconds, which never goes back.
    """

    __slots__ = ("_burst_s", "_clock", "_interval_s", "_older", "_recent", "_turn_at_s")

    def __init__(self, per_s: float, burst_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._interval_s = 1 / per_s if per_s else 0.0
        self._burst_s = max(burst_s, self._interval_s)
        self._recent: dict[Hashable, float] = {}
        self._older: dict[Hashable, float] = {}
        self._turn_at_s = clock() + self._burst_s

    def take(self, key: Hashable) -> float:
        """0.0 when it may happen now, which is then counted; else in how many seconds it may."""
        if not self._interval_s:
            return 0.0
        now_s = self._clock()
        if now_s >= self._turn_at_s:
            self._older, self._recent = self._recent, {}
            self._turn_at_s = now_s + self._burst_s
        full_at_s = self._recent.get(key)
        if full_at_s is None:
            full_at_s = self._older.get(key, now_s)
        full_at_s = max(full_at_s, now_s) + self._interval_s
        wait_s = full_at_s - now_s - self._burst_s
        if wait_s > 1e-9:
            return wait_s
        self._recent[key] = full_at_s
        return 0.0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._recent.keys() | self._older.keys())
