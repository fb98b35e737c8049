"""How one push reaches all listeners without holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from market.history import Sending

SLICE: Final = 64
"""Sockets written before the loop gets its turn: about a millisecond at 11 to 14 µs per delivery."""


class Listener(Protocol):
    """One end of a topic."""

    def offer(self, sending: Sending) -> None:
        """Send a push; of a distribution, keep only the latest of its pool while the client is slow."""


class Fanout:
    """The listeners, and the pushes that are on their way to them, one after the other.

    `started` is called with each push when its first listener is about to get it: who listens from then on
    does not get it from here. `finished` is called with it and their number when the last one got it.
    """

    def __init__(self, started: Callable[[Sending], None], finished: Callable[[Sending, int], None]) -> None:
        self.listeners: dict[Listener, None] = {}
        self._started = started
        self._finished = finished
        self._queue: dict[object, Sending] = {}
        self._sending: Iterator[Listener] | None = None
        self._current: Sending | None = None

    def publish(self, sending: Sending) -> None:
        """Send to all listeners; a distribution that waits for its turn gives way to a later one."""
        key = sending.pool or sending.position
        self._queue.pop(key, None)
        self._queue[key] = sending
        if self._sending is None:
            self._next()

    def _next(self) -> None:
        self._current = self._queue.pop(next(iter(self._queue)))
        self._sending = iter(list(self.listeners))
        self._started(self._current)
        self._slice()

    def _slice(self) -> None:
        current, sending, listeners = self._current, self._sending, self.listeners
        if sending is None or current is None:
            return
        for _ in range(SLICE):
            listener = next(sending, None)
            if listener is None:
                self._sending = None
                self._finished(current, len(listeners))
                if self._queue:
                    asyncio.get_running_loop().call_soon(self._next_if_idle)
                return
            if listener in listeners:
                listener.offer(current)
        asyncio.get_running_loop().call_soon(self._slice)

    def _next_if_idle(self) -> None:
        if self._sending is None and self._queue:
            self._next()
