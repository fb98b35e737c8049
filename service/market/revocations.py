"""The users that operators have shut out: who says so, and how every API process learns of it.

The list is a sorted set at the Redis master. Whoever changes it publishes the change in the same transaction,
so that a process that first subscribes at its nearest Redis and then reads the list there misses nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import redis

from market import keys
from market.acknowledgement import await_standbys
from market.channel_link import ChannelLink
from market.redis_client import redis_client
from market.settings import MarketError, RedisEndpoint, Settings, read_secret
from market.store import UnavailableError

_log = logging.getLogger(__name__)


class RevocationError(MarketError):
    """The list of revoked users could not be changed."""


class _Link(ChannelLink):
    """A subscription that reads the whole list whenever it connects."""

    def __init__(
        self,
        endpoint: RedisEndpoint,
        on_message: Callable[[str, bytes], None],
        on_list: Callable[[Iterable[tuple[bytes, float]]], None],
    ) -> None:
        password = read_secret(endpoint.password_file)
        super().__init__("redis-revocations", endpoint, password, on_message, lambda: None)
        self._on_list = on_list
        self._channels[keys.REVOCATIONS] = []

    async def _greet(self) -> None:
        await super()._greet()
        listed: Any = await self._ask("ZRANGE", keys.REVOKED, 0, -1, "WITHSCORES")
        self._on_list([(user, float(until_s)) for user, until_s in listed])


class Revocations:
    """Who is shut out at present, as the nearest Redis has it.

    While that cannot be reached the last list holds, and before it was reached for the first time nobody is
    shut out: a handshake does not wait for the data. `on_revoked` gets each user as soon as this process
    knows.
    """

    def __init__(self, endpoint: RedisEndpoint, on_revoked: Callable[[str], None]) -> None:
        self._link = _Link(endpoint, self._on_message, self._on_list)
        self._on_revoked = on_revoked
        self._until_s: dict[str, float] = {}

    def start(self) -> None:
        """Begin to connect."""
        self._link.start()

    async def stop(self) -> None:
        """Give up the subscription."""
        await self._link.stop()

    def revoked(self, user: str) -> bool:
        """Whether a user is shut out now."""
        until_s = self._until_s.get(user)
        return until_s is not None and until_s > time.time()

    def _on_list(self, listed: Iterable[tuple[bytes, float]]) -> None:
        now_s = time.time()
        self._until_s = {user.decode(): until_s for user, until_s in listed if until_s > now_s}
        for user in self._until_s:
            self._on_revoked(user)

    def _on_message(self, channel: str, payload: bytes) -> None:
        user, _, until = payload.decode().partition(" ")
        until_s = float(until)
        if until_s > time.time():
            self._until_s[user] = until_s
            self._on_revoked(user)
        else:
            self._until_s.pop(user, None)


def revoke(settings: Settings, user: str, for_s: float) -> None:
    """Shut a user out everywhere.

    Args:
        settings: of the process, `redis_master` is used.
        user: who.
        for_s: for how many seconds from now; 0 lets the user in again.

    Raises:
        RevocationError: when the Redis master cannot be reached.
    """
    now_s = time.time()
    until_s = int(now_s + for_s) if for_s else 0
    endpoint = settings.redis_master
    try:
        with closing(redis_client(endpoint, writes=True)) as client:
            pipeline = client.pipeline(transaction=True)
            pipeline.zadd(keys.REVOKED, {user: until_s})
            pipeline.zremrangebyscore(keys.REVOKED, "-inf", now_s)
            pipeline.publish(keys.REVOCATIONS, f"{user} {until_s}")
            pipeline.execute()
            await_standbys(client, settings)
    except (redis.RedisError, UnavailableError) as error:
        raise RevocationError(f"{endpoint.title}: {error}") from error
