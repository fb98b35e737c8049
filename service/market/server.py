"""One API process: what its connections share, its clock, its start and its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import resource
import time
from collections import deque
from collections.abc import Collection
from typing import Final

from market import calls
from market.admission import Admission
from market.audit import Audit
from market.blocking_store import BlockingStore
from market.compression import Compressors
from market.connection import Connection
from market.flusher import Flusher
from market.handshakes import Handshakes
from market.history import Sending
from market.http.connection import HttpConnection
from market.journal_watch import JournalWatch
from market.limiter import Limiter
from market.live_store import LiveStore
from market.metrics import Metrics
from market.protocol import CloseCode, Request
from market.rounds import Rounds
from market.sessions import KINDS
from market.settings import Settings
from market.sql_reader import SqlReader
from market.store import Store
from market.topics import Topics
from market.tracing import tracing_of

_log = logging.getLogger(__name__)

TICK_S: Final = 0.5
"""Connections' time limits are counted in ticks: a loop that was held up reads its sockets in between."""

LINGER_TICKS: Final = 6
"""Ticks after which a connection that is being closed is cut off."""
STALL_TICKS: Final = 40
"""Ticks after which a client that drains nothing is closed."""
SETTLED_TICKS: Final = 10
PRESENCE_TICKS: Final = 10
"""Ticks between two notes of how many connections have joined each game."""
GROWTH: Final = 256
"""New connections at which, and ticks without one after which, the heap is frozen.

What is frozen is left out of garbage collections, which with 12,000 connections take 0.2 to 0.5 s else.
"""
DRAIN_SLICE: Final = 64
DRAIN_S: Final = 5.0
AUDIT_S: Final = 3.0
"""How long the end waits for the journal to take the last commands."""
SPARE_DESCRIPTORS: Final = 64


class Api:
    """What the connections of one process share; it answers requests of these kinds only."""

    def __init__(self, settings: Settings, kinds: Collection[type[Request]] = KINDS) -> None:
        self.settings = settings
        self.process = f"{settings.node}.{os.getpid()}"
        """What this process is called among all of all nodes."""
        self.compressors = Compressors(settings.compression)
        self.handshakes = Handshakes(settings, self.compressors)
        self.limiter = Limiter(settings.limits)
        self.admission = Admission(settings, self.limiter)
        self.kinds = frozenset(kinds)
        self.store: Store = (
            BlockingStore(settings) if settings.data_path == "blocking" else LiveStore(settings)
        )
        self.topics = Topics(settings, self.store, self._on_sent)
        self.flusher = Flusher(self.store, settings.flush_interval_ms)
        self.sql = SqlReader(settings)
        self.journal = JournalWatch(settings, self.store, self.sql)
        self.audit = Audit(settings, self.store)
        self.tracing = tracing_of(settings)
        self.metrics = Metrics(
            {
                "market_connections": ("open WebSocket connections", lambda: len(self._connections)),
                "market_http_connections": ("open HTTP connections", lambda: len(self.http_connections)),
                "market_slow_connections": (
                    "connections that do not drain what they are sent",
                    lambda: sum(each.paused_at is not None for each in self._connections),
                ),
                "market_listeners": (
                    "connections that have joined a game",
                    lambda: sum(self.topics.listening().values()),
                ),
                "market_ready": (
                    "1 when the process can serve, else 0",
                    lambda: 1.0 if self.problem() is None else 0.0,
                ),
                **self.journal.gauges(),
                **self.audit.gauges(),
            }
        )
        self._max_connections = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS
        self._connections: dict[Connection, None] = {}
        self.http_connections: set[HttpConnection] = set()
        self._tick = 0
        self.rounds = Rounds(settings.limits, TICK_S, self._connections, self.admission.expired)
        self._opening: deque[tuple[int, Connection]] = deque()
        self._authenticating: deque[tuple[int, Connection]] = deque()
        self._stalled: deque[tuple[int, Connection]] = deque()
        self._lingering: deque[Connection] = deque()
        self._authenticate_ticks = max(1, round(settings.authenticate_timeout_s / TICK_S))
        self._handshake_ticks = max(1, round(settings.limits.handshake_timeout_s / TICK_S))
        self._unfrozen = 0
        self._connected_at = 0
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._empty: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Begin to connect to the data and to count time; does not wait for either."""
        self._loop = asyncio.get_running_loop()
        await self.store.start()
        self.topics.start()
        self.admission.revocations.start()
        self.flusher.start()
        self.sql.start()
        self.journal.start()
        self.audit.start()
        self._timer = self._loop.call_later(TICK_S, self._on_tick)

    async def drain(self) -> None:
        """Close every connection, those that wait for an answer after it, and let go of the data."""
        self._draining = True
        for http in list(self.http_connections):
            http.finish()
        self.journal.stop()
        if self._connections:
            self._empty = self._loop.create_future()
            for index, connection in enumerate(list(self._connections)):
                if connection.session.idle or not connection.is_open:
                    self._send_away(connection)
                if index % DRAIN_SLICE == DRAIN_SLICE - 1:
                    await asyncio.sleep(0)
            await asyncio.wait((self._empty,), timeout=DRAIN_S)
            for connection in list(self._connections):
                connection.cut_off()
        if self._timer is not None:
            self._timer.cancel()
        self.flusher.stop()
        await self.admission.revocations.stop()
        await self.audit.stop(AUDIT_S)
        self.sql.stop()
        await self.topics.stop()
        await self.store.stop()
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.stop)

    def problem(self) -> str | None:
        """Why this process cannot serve at present, None when it can."""
        if self._draining:
            return "draining"
        return self.store.problem() or self.topics.problem() or self.audit.problem()

    def refusal(self) -> str | None:
        """Why no further client is taken, None when it is. Waits for no database: those may come back."""
        if self._draining:
            return "the server drains; come back"
        if len(self._connections) > self._max_connections:
            return "the server is full; come back later"
        return None

    def connected(self, connection: Connection) -> None:
        """A connection was accepted."""
        self._connections[connection] = None
        self._opening.append((self._tick + self._handshake_ticks, connection))
        self._authenticating.append((self._tick + self._authenticate_ticks, connection))
        self._unfrozen += 1
        self._connected_at = self._tick

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.pop(connection, None)
        if connection.identity is not None:
            self.admission.leave(connection, connection.identity)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def answered(self, connection: Connection) -> None:
        """A request was answered."""
        if self._draining and connection.session.idle:
            self._send_away(connection)

    def paused(self, connection: Connection) -> None:
        """A client stopped to drain what it is sent."""
        connection.paused_at = self._tick
        self._stalled.append((self._tick, connection))

    def linger(self, connection: Connection) -> None:
        """A connection is being closed: cut it off if it does not end."""
        if connection.deadline is None:
            connection.deadline = self._tick + LINGER_TICKS
            self._lingering.append(connection)

    def _on_sent(self, sending: Sending, listeners: int) -> None:
        if sending.published_us:
            self.metrics.sent(time.time() * 1000 - sending.published_us / 1000, listeners)

    def _report_presence(self) -> None:
        listening = self.topics.listening()
        if listening:
            self.store.master(calls.report_presence(self.process, listening), lambda _: None)

    def _send_away(self, connection: Connection) -> None:
        if connection.is_open:
            delay_ms = random.randint(0, self.settings.drain_spread_ms)  # noqa: S311
            connection.close(CloseCode.GOING_AWAY, f"come back in {delay_ms} ms")
        else:
            connection.cut_off()

    def _on_tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._on_tick)
        self._tick += 1
        while self._opening and self._opening[0][0] <= self._tick:
            connection = self._opening.popleft()[1]
            if connection.is_opening:
                connection.cut_off()
        while self._authenticating and self._authenticating[0][0] <= self._tick:
            connection = self._authenticating.popleft()[1]
            if not connection.is_open:
                connection.cut_off()
            elif connection.session.identity is None:
                connection.close(CloseCode.UNAUTHENTICATED, "show a token in time")
        while self._stalled and self._stalled[0][0] + STALL_TICKS <= self._tick:
            since, connection = self._stalled.popleft()
            if connection.paused_at == since:
                connection.close_slow()
        while self._lingering and (self._lingering[0].deadline or 0) <= self._tick:
            self._lingering.popleft().cut_off()
        self.rounds.tick()
        self.topics.tick()
        if self._tick % PRESENCE_TICKS == 0:
            self._report_presence()
        settled = self._tick - self._connected_at >= SETTLED_TICKS
        if self._unfrozen >= GROWTH or (self._unfrozen and settled):
            self._unfrozen = 0
            gc.collect()
            gc.freeze()
