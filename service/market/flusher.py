"""When to flush: a timer for every pool that this process changed, and a look for what others forgot."""

from __future__ import annotations

import asyncio
import logging
import random

from market import calls
from market.store import Failure, Store

_log = logging.getLogger(__name__)


class Flusher:
    """Has the store publish the distributions that are due.

    The master decides, atomically; so it does no harm that every process that changed a pool asks for its
    flush. About once per interval each process also asks for all that is overdue: what a process changed
    just before it died goes out too. The same flush carries out standing orders, a batch at a time, and says
    when it has to be asked for the next.
    """

    def __init__(self, store: Store, interval_ms: int) -> None:
        self._store = store
        self._interval_ms = interval_ms
        self._interval_s = interval_ms / 1000
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look for what is overdue."""
        self._loop = asyncio.get_running_loop()
        self._plan_sweep()

    def stop(self) -> None:
        """End all timers."""
        for timer in (*self._timers.values(), *([self._sweep] if self._sweep else [])):
            timer.cancel()
        self._timers.clear()
        self._sweep = None

    def due(self, pool: str, due_in_ms: int, answered_in_s: float = 0.0) -> None:
        """A pool's flush is due in so many ms by the master's clock.

        `answered_in_s` is how long that answer took: the flush is sent earlier by as much, since the way to
        the master takes half of it, as the answer's way back did. What arrives too early is told how much.
        """
        if due_in_ms >= 0 and pool not in self._timers:
            delay_s = max(0.0, due_in_ms / 1000 - answered_in_s)
            self._timers[pool] = self._loop.call_later(delay_s, self._flush, pool)

    def _flush(self, pool: str) -> None:
        del self._timers[pool]

        self._ask(pool)

    def _ask(self, pool: str) -> None:
        def flushed(result: int | Failure) -> None:
            if isinstance(result, Failure):
                _log.warning("the flush of %s failed: %s", pool or "what is overdue", result.message)
            elif result > 0 and self._sweep is not None:
                self.due(pool, result)

        self._store.master(calls.flush(pool, self._interval_ms), flushed)

    def _plan_sweep(self) -> None:
        delay_s = self._interval_s * random.uniform(0.8, 1.2)  # noqa: S311
        self._sweep = self._loop.call_later(delay_s, self._flush_overdue)

    def _flush_overdue(self) -> None:
        self._plan_sweep()
        self._ask("")
