"""Who listens to which game, in which order they get its pushes, and what those get who come back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from market import calls, keys
from market.channel_link import ChannelLink
from market.fanout import Fanout, Listener
from market.frames import text_frame
from market.history import START, UNREADABLE, History, Recent, Sending, read_push
from market.protocol import Distribution, Pool, Position, StateLost, encode
from market.settings import Settings, read_secret
from market.store import Failure, Store, failure_of

_log = logging.getLogger(__name__)

IDLE_TICKS: Final = 120
"""Ticks after which the subscription of a game without listeners is given up."""

CATCH_UP_TICKS: Final = 12
"""Ticks for which a client waits that has seen more than the nearest Redis has so far.

A replica that was started again in a far region takes 3 to 4 s until it follows.
"""


class Entry(NamedTuple):
    """What a client gets that joins at `position`: the pushes that it missed, or `pools` in their place."""

    state: Literal["new", "recovered", "lost"]
    position: Position
    missed: list[Sending]
    pools: list[Pool] | None = None


Enter = Callable[[Entry | Failure], None]


class _Waiting(NamedTuple):
    since: Position
    done: Enter
    until_tick: int


class Topic:
    """A game's listeners and its pushes.

    While it loads, what arrives waits: after a lost connection, and whenever a push is missing, the newest
    pushes are read from Redis, so that every listener gets every push once and in order, or is told that
    some are lost.
    """

    def __init__(self, game: str, store: Store, finished: Callable[[Sending, int], None]) -> None:
        self.game = game
        self.history = History()
        self.idle_ticks = 0
        self._store = store
        self._fanout = Fanout(self._on_started, finished)
        self._started = START
        self._tick = 0
        self._ready = False
        self._loading = False
        self._stale = False
        self._arrived: list[Sending] = []
        self._openers: list[Callable[[Topic | Failure], None]] = []
        self._behind: list[_Waiting] = []
        self._snapshot_waits: list[Enter] = []

    @property
    def listeners(self) -> dict[Listener, None]:
        """Who gets the pushes."""
        return self._fanout.listeners

    def open(self, done: Callable[[Topic | Failure], None]) -> None:
        """Have the topic once it knows where the game stands."""
        if self._ready:
            done(self)
        else:
            self._openers.append(done)
            self.load()

    def enter(self, since: Position | None, done: Enter) -> None:
        """What a client is told that joins; it must begin to listen before `done` returns."""
        if since is None:
            done(Entry("new", self._started, []))
            return
        if since.is_after(self._started):
            self._behind.append(_Waiting(since, done, self._tick + CATCH_UP_TICKS))
            return
        missed = self.history.between(since, self._started)
        if missed is not None:
            done(Entry("recovered", self._started, missed))
        else:
            self._enter_by_snapshot(done)

    def receive(self, sending: Sending) -> None:
        """A push came by the channel."""
        if self._loading or not self._ready:
            self._arrived.append(sending)
        elif self.history.follows(sending):
            self._publish(sending)
        elif not self.history.has(sending):
            self._arrived.append(sending)
            self.load()

    def load(self) -> None:
        """Read where the game stands, and what was missed; goes on at each tick until it has."""
        self._stale = True
        if not self._loading:
            self._loading = True
            self._store.nearest(calls.recent(self.game), self._loaded)

    def tick(self) -> None:
        """Give up waiting for what does not come; try again what failed."""
        self._tick += 1
        if self._stale and self._ready:
            self.load()
        if self._behind:
            waiting, self._behind = self._behind, []
            for one in waiting:
                if one.until_tick <= self._tick:
                    self._enter_by_snapshot(one.done)
                else:
                    self._behind.append(one)
        if self._behind:
            self.load()

    def _loaded(self, recent: Recent | Failure) -> None:
        if isinstance(recent, Failure):
            self._loading = False
            openers, self._openers = self._openers, []
            for done in openers:
                done(recent)
            return
        missed = self._missed(recent)
        if missed is None:
            self._store.nearest(calls.pools(self.game), lambda pools: self._lost(recent, pools))
        else:
            self._caught_up(recent, missed)

    def _missed(self, recent: Recent) -> list[Sending] | None:
        """The pushes that listeners lack, None when some of them are gone."""
        if not self._ready:
            return []
        here, there = self.history.position, recent.position
        if not there.is_after(here):
            return []
        found = History()
        found.replace(there, recent.pushes)
        return found.between(here, there)

    def _lost(self, recent: Recent, pools: list[Pool] | Failure) -> None:
        if isinstance(pools, Failure):
            self._loading = False
            return
        position = recent.position
        message = StateLost(self.game, position.epoch, position.offset, public(pools))
        self.history.replace(position, recent.pushes)
        self._fanout.publish(Sending(position, None, text_frame(encode(message)), only=2))
        for pool in message.pools:
            shown = distribution(self.game, pool)
            self._fanout.publish(Sending(position, pool.id, text_frame(encode(shown)), only=1))
        self._resume()

    def _caught_up(self, recent: Recent, missed: list[Sending]) -> None:
        if self._ready:
            for sending in missed:
                self._publish(sending)
        else:
            self.history.replace(recent.position, recent.pushes)
            self._started = recent.position
        self._resume()

    def _resume(self) -> None:
        """Go on with what arrived meanwhile."""
        self._ready, self._loading, self._stale = True, False, False
        arrived, self._arrived = self._arrived, []
        for sending in arrived:
            if self.history.follows(sending):
                self._publish(sending)
            elif not self.history.has(sending):
                self._arrived.append(sending)
                self._stale = True
        openers, self._openers = self._openers, []
        for done in openers:
            done(self)

    def _publish(self, sending: Sending) -> None:
        self.history.append(sending)
        self._fanout.publish(sending)

    def _on_started(self, sending: Sending) -> None:
        self._started = sending.position
        if self._behind:
            waiting, self._behind = self._behind, []
            for one in waiting:
                self.enter(one.since, one.done)

    def _enter_by_snapshot(self, done: Enter) -> None:
        """One reading of the pools serves all who ask while it is on its way."""
        self._snapshot_waits.append(done)
        if len(self._snapshot_waits) == 1:
            since = self._started
            self._store.nearest(calls.pools(self.game), lambda pools: self._on_snapshot(since, pools))

    def _on_snapshot(self, since: Position, pools: list[Pool] | Failure) -> None:
        waits, self._snapshot_waits = self._snapshot_waits, []
        if isinstance(pools, Failure):
            for done in waits:
                done(pools)
            return
        missed = self.history.between(since, self._started)
        if missed is None:
            for done in waits:
                self._enter_by_snapshot(done)
            return
        shown = public(pools)
        for done in waits:
            done(Entry("lost", since, missed, shown))


def public(pools: list[Pool]) -> list[Pool]:
    """Those that everyone may see."""
    return [pool for pool in pools if pool.audience == "everyone"]


def distribution(game: str, pool: Pool) -> Distribution:
    """What a client of `market.v1`, which knows no snapshots, is told of a pool in one."""
    now_us = time.time_ns() // 1000
    return Distribution(game, pool.id, pool.epoch, pool.offset, now_us, pool.totals, pool.predictions)


class Topics:
    """The topics of this process: one subscription per game, made with the first listener.

    `finished` is called with each push that was sent to all, and to how many.
    """

    def __init__(self, settings: Settings, store: Store, finished: Callable[[Sending, int], None]) -> None:
        endpoint = settings.redis_read
        self._store = store
        self._finished = finished
        self._link = ChannelLink(
            "redis-subscription",
            endpoint,
            read_secret(endpoint.password_file),
            self._on_message,
            self._on_connected,
        )
        self._topics: dict[str, Topic] = {}

    def start(self) -> None:
        """Begin to connect."""
        self._link.start()

    async def stop(self) -> None:
        """Give up all subscriptions."""
        await self._link.stop()

    def problem(self) -> str | None:
        """Why pushes do not arrive at present, None when they do."""
        return self._link.problem()

    def open(self, game: str, done: Callable[[Topic | Failure], None]) -> None:
        """The topic of a game, once this process gets all of its later pushes and knows where it stands."""
        topic = self._topics.get(game)
        if topic is None:
            topic = self._topics[game] = Topic(game, self._store, self._finished)
        topic.idle_ticks = 0

        def subscribed(reply: object) -> None:
            if isinstance(reply, Exception):
                done(failure_of(reply))
            else:
                topic.open(done)

        self._link.subscribe(keys.channel(game), subscribed)

    def listening(self) -> dict[str, int]:
        """How many connections of this process have joined each game."""
        return {game: len(topic.listeners) for game, topic in self._topics.items()}

    def tick(self) -> None:
        """Give up the subscriptions that nobody needed for a while; see `Topic.tick`."""
        for topic in list(self._topics.values()):
            topic.tick()
            topic.idle_ticks = 0 if topic.listeners else topic.idle_ticks + 1
            if topic.idle_ticks >= IDLE_TICKS:
                del self._topics[topic.game]
                self._link.unsubscribe(keys.channel(topic.game))

    def _on_connected(self) -> None:
        """Every topic may have missed pushes while there was no connection."""
        for topic in self._topics.values():
            topic.load()

    def _on_message(self, channel: str, payload: bytes) -> None:
        try:
            game, sending = read_push(payload)
        except UNREADABLE as error:
            _log.error("the message on %s is not a push: %s", channel, error)
            return
        topic = self._topics.get(game)
        if topic is not None and channel == keys.channel(game):
            topic.receive(sending)
