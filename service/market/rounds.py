"""What is looked at for every connection now and then: tokens that expired, clients that are idle, silence.

One round visits every connection once, a slice of them with each tick: no timer per connection, and no burst
of work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from market.connection_settings import Limits
from market.protocol import CloseCode
from market.tokens import Identity

ROUND_S: Final = 15.0
"""How long a round takes, unless a limit is shorter than two of them."""


class Visited(Protocol):
    """A connection, as a round sees it."""

    heard: bool
    told: bool
    silent_rounds: int
    quiet_rounds: int

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""

    @property
    def is_subscribed(self) -> bool:
        """Whether a game is joined."""

    @property
    def identity(self) -> Identity | None:
        """Who it belongs to, None before a token was shown."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin to close."""

    def ping(self) -> None:
        """Send a ping."""


class Rounds:
    """Visits the connections.

    Args:
        limits: what clients may do.
        tick_s: how often `tick` is called.
        connections: those that a new round visits.
        expired: whether an identity's token has been invalid for so many seconds.
    """

    def __init__(
        self,
        limits: Limits,
        tick_s: float,
        connections: Iterable[Visited],
        expired: Callable[[Identity, float], bool],
    ) -> None:
        shortest_s = min(
            (s for s in (limits.idle_timeout_s, limits.keepalive_s, limits.expiry_grace_s) if s),
            default=ROUND_S,
        )
        self._ticks = max(1, math.floor(min(ROUND_S, shortest_s / 2) / tick_s))
        round_s = self._ticks * tick_s
        self._idle_rounds = math.ceil(limits.idle_timeout_s / round_s)
        self._keepalive_rounds = math.ceil(limits.keepalive_s / round_s)
        self._grace_s = limits.expiry_grace_s
        self._connections = connections
        self._expired = expired
        self._tick = 0
        self._waiting: list[Visited] = []
        self._slice = 0

    def tick(self) -> None:
        """Visit the next slice."""
        if self._tick == 0:
            self._waiting = list(self._connections)
            self._slice = math.ceil(len(self._waiting) / self._ticks)
        self._tick = (self._tick + 1) % self._ticks
        for _ in range(min(self._slice, len(self._waiting))):
            connection = self._waiting.pop()
            if connection.is_open:
                self._visit(connection)

    def _visit(self, connection: Visited) -> None:
        identity = connection.identity
        if identity is not None and self._expired(identity, self._grace_s):
            connection.close(CloseCode.UNAUTHENTICATED, "the token has expired; come back with a new one")
            return
        connection.silent_rounds = 0 if connection.heard else connection.silent_rounds + 1
        connection.quiet_rounds = 0 if connection.told else connection.quiet_rounds + 1
        connection.heard = connection.told = False
        if connection.is_subscribed:
            connection.silent_rounds = 0
        elif self._idle_rounds and connection.silent_rounds >= self._idle_rounds:
            connection.close(CloseCode.IDLE, "nothing was joined or asked; come back when you need something")
            return
        if self._keepalive_rounds and connection.quiet_rounds >= self._keepalive_rounds:
            connection.ping()
            connection.quiet_rounds = 0
