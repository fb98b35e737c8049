"""Who listens to which game, and how one distribution reaches all of them without holding up the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from market import keys
from market.frames import text_frame
from market.protocol import Distribution
from market.redis_link import ChannelLink
from market.settings import Settings, read_secret
from market.store import Failure, failure_of

_log = logging.getLogger(__name__)

SLICE: Final = 64
"""Sockets written before the loop gets its turn: about a millisecond at 11 to 14 µs per delivery."""

IDLE_TICKS: Final = 120
"""Ticks after which the subscription of a game without listeners is given up."""

_decode: Final = msgspec.json.Decoder(Distribution).decode


class Listener(Protocol):
    """One end of a topic."""

    def offer(self, pool: str, frame: bytes) -> None:
        """Send a pool's distribution, or keep it as the latest one while the client is slow."""


class Topic:
    """A game's listeners, and the distributions that are on their way to them."""

    def __init__(self, game: str) -> None:
        self.game = game
        self.listeners: dict[Listener, None] = {}
        self.idle_ticks = 0
        self._queue: dict[str, bytes] = {}
        self._sending: Iterator[Listener] | None = None
        self._current = ("", b"")

    def publish(self, pool: str, frame: bytes) -> None:
        """Send a distribution to all listeners; one that waits for its turn is replaced by a later one."""
        self._queue[pool] = frame
        if self._sending is None:
            self._next()

    def _next(self) -> None:
        pool = next(iter(self._queue))
        self._current = (pool, self._queue.pop(pool))
        self._sending = iter(list(self.listeners))
        self._slice()

    def _slice(self) -> None:
        pool, frame = self._current
        sending, listeners = self._sending, self.listeners
        if sending is None:
            return
        for _ in range(SLICE):
            listener = next(sending, None)
            if listener is None:
                self._sending = None
                if self._queue:
                    asyncio.get_running_loop().call_soon(self._next)
                return
            if listener in listeners:
                listener.offer(pool, frame)
        asyncio.get_running_loop().call_soon(self._slice)


class Topics:
    """The topics of this process: one subscription per game, made with the first listener."""

    def __init__(self, settings: Settings) -> None:
        endpoint = settings.redis_read
        self._link = ChannelLink(
            "redis-subscription", endpoint, read_secret(endpoint.password_file), self._on_message
        )
        self._topics: dict[str, Topic] = {}

    def start(self) -> None:
        """Begin to connect."""
        self._link.start()

    async def stop(self) -> None:
        """Give up all subscriptions."""
        await self._link.stop()

    def problem(self) -> str | None:
        """Why distributions do not arrive at present, None when they do."""
        return self._link.problem()

    def open(self, game: str, done: Callable[[Topic | Failure], None]) -> None:
        """The topic of a game, once this process gets all of its later distributions."""
        topic = self._topics.get(game)
        if topic is None:
            topic = self._topics[game] = Topic(game)
        topic.idle_ticks = 0

        def subscribed(reply: object) -> None:
            done(failure_of(reply) if isinstance(reply, Exception) else topic)

        self._link.subscribe(keys.channel(game), subscribed)

    def tick(self) -> None:
        """Give up the subscriptions that nobody needed for a while."""
        for topic in list(self._topics.values()):
            topic.idle_ticks = 0 if topic.listeners else topic.idle_ticks + 1
            if topic.idle_ticks >= IDLE_TICKS:
                del self._topics[topic.game]
                self._link.unsubscribe(keys.channel(topic.game))

    def _on_message(self, channel: str, payload: bytes) -> None:
        try:
            distribution = _decode(payload)
        except msgspec.DecodeError as error:
            _log.error("the message on %s is not a distribution: %s", channel, error)
            return
        topic = self._topics.get(distribution.game)
        if topic is not None and channel == keys.channel(distribution.game):
            topic.publish(distribution.pool, text_frame(payload))
