"""How the journal stands, as an API process sees it, and what the process does when it fills up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from market import calls_journal
from market.calls_journal import Report
from market.journal import Place
from market.settings import Settings
from market.sql_history import position
from market.sql_reader import SqlReader
from market.store import Failure, Store

_log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
SLOW_FROM: Final = 0.8
"""The share of the journal's limit from which on writes are slowed down."""
MAX_DELAY_S: Final = 1.0
"""How long a write is held back when the journal is nearly full."""
RATE_OVER_S: Final = 5.0


class JournalStatus(Struct):
    """How the journal stood when it was last seen; all 0 before.

    `entries` are in the stream, `backlog` of them not yet in SQL, the oldest of those `oldest_age_ms` old;
    `drained_per_s` is the mean of the last seconds.
    """

    entries: int = 0
    limit: int = 0
    backlog: int = 0
    oldest_age_ms: int = 0
    drained_per_s: float = 0.0
    replica: str | None = None
    """The place up to which the region's SQL has the journal, None when it did not answer."""


class JournalWatch:
    """Reports the region's position, keeps `journal_status`, and holds writes back."""

    def __init__(self, settings: Settings, store: Store, sql: SqlReader) -> None:
        self._store = store
        self._sql = sql
        self._limit = settings.journal_max_entries
        read = settings.sql_read
        self._server = f"{settings.region} {read.host}:{read.port}/{read.database}"
        self.journal_status = JournalStatus(limit=self._limit)
        self._seen: deque[tuple[float, int]] = deque()
        self._held: deque[tuple[float, Callable[[], None]]] = deque()
        self._release: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._report()

    def stop(self) -> None:
        """End the watch; what is held back is let go."""
        for timer in (self._timer, self._release):
            if timer is not None:
                timer.cancel()
        self._timer = self._release = None
        while self._held:
            self._held.popleft()[1]()

    def gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        """What is to be seen of the journal."""
        status = self.journal_status
        return {
            "market_journal_entries": ("entries in the journal", lambda: status.entries),
            "market_journal_limit": ("entries at which writes are refused", lambda: status.limit),
            "market_journal_backlog": ("entries that SQL does not have yet", lambda: status.backlog),
            "market_journal_oldest_seconds": (
                "age of the oldest entry that SQL does not have yet",
                lambda: status.oldest_age_ms / 1000,
            ),
            "market_journal_drained_per_second": (
                "entries brought to SQL per second",
                lambda: status.drained_per_s,
            ),
            "market_writes_held": ("writes held back because the journal fills up", lambda: len(self._held)),
        }

    def delay_s(self) -> float:
        """How long a write is held back at present."""
        status = self.journal_status
        over = status.entries / self._limit - SLOW_FROM
        return 0.0 if over <= 0 else min(1.0, over / (1 - SLOW_FROM)) * MAX_DELAY_S

    def hold(self, write: Callable[[], None], delay_s: float) -> None:
        """Do a write later, in the order in which writes were asked for; one timer serves all."""
        due_s = self._loop.time() + delay_s
        if self._held:
            due_s = max(due_s, self._held[-1][0])
        self._held.append((due_s, write))
        if self._release is None:
            self._release = self._loop.call_at(due_s, self._let_go)

    @property
    def holds(self) -> bool:
        """Whether writes are being held back."""
        return bool(self._held)

    def _let_go(self) -> None:
        self._release = None
        while self._held and self._held[0][0] <= self._loop.time():
            self._held.popleft()[1]()
        if self._held:
            self._release = self._loop.call_at(self._held[0][0], self._let_go)

    def _report(self) -> None:
        self._timer = self._loop.call_later(PERIOD_S, self._report)
        self._sql.submit("read", position, self._positioned)

    def _positioned(self, place: Place | Failure) -> None:
        known = None if isinstance(place, Failure) else place
        self.journal_status.replica = None if known is None else str(known)
        self._store.master(calls_journal.report(self._server, known, self._limit), self._reported)

    def _reported(self, report: Report | Failure) -> None:
        if isinstance(report, Failure):
            return
        status = self.journal_status
        status.entries, status.backlog = report.entries, report.backlog
        status.oldest_age_ms = report.oldest_age_ms
        now_s = time.monotonic()
        if self._seen and report.drained < self._seen[-1][1]:
            self._seen.clear()  # the journal began anew
        self._seen.append((now_s, report.drained))
        while self._seen[0][0] < now_s - RATE_OVER_S:
            self._seen.popleft()
        since_s, drained = self._seen[0]
        if now_s > since_s:
            status.drained_per_s = round((report.drained - drained) / (now_s - since_s), 1)
