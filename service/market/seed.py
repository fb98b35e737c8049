"""The state that a benchmark begins with: one live game with one open pool, and an account per user."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Final

import msgspec
import redis

from market import keys
from market.acknowledgement import await_standbys
from market.limits import MAX_MONEY
from market.protocol import Game
from market.redis_client import redis_client
from market.settings import MarketError, Settings
from market.store import UnavailableError

GAME: Final = Game(id="match-1", title="Home - Away", status="live")
POOL: Final = "winner"
QUESTION: Final = "Who wins the match?"
OPTIONS: Final = ("home", "draw", "away")
CHUNK: Final = 5000
SYNC_LIMIT_S: Final = 60.0
"""How long the standbys may take to have all of it."""

Field = bytes | bytearray | memoryview | str | int | float


class SeedError(MarketError):
    """The state cannot be made as asked."""


def seed(settings: Settings, users: int, balance: int) -> int:
    """Replace what is in the Redis master; the new epoch.

    Args:
        settings: of the process, `redis_master` is used.
        users: how many accounts, `user-0` onwards.
        balance: what each has, in minor units.

    Raises:
        SeedError: when there would be too much money to count, or Redis cannot be reached.
    """
    if users * balance >= MAX_MONEY:
        raise SeedError(f"{users} users with {balance} each is more money than can be counted; seed less")
    try:
        with closing(redis_client(settings.redis_master, writes=True)) as client:
            epoch = _seed(client, users, balance)
            await_standbys(client, settings, SYNC_LIMIT_S)
            return epoch
    except (redis.RedisError, UnavailableError) as error:
        raise SeedError(f"{settings.redis_master.title}: {error}") from error


def _seed(client: redis.Redis, users: int, balance: int) -> int:
    epoch = max(int(time.time()), int(client.get(keys.EPOCH) or 0) + 1)
    found: list[bytes] = []
    for name in client.scan_iter(match=f"{keys.PREFIX}*", count=CHUNK):
        if name != keys.REPLID.encode():
            found.append(name)
        if len(found) >= CHUNK:
            client.unlink(*found)
            found.clear()
    if found:
        client.unlink(*found)
    pool: dict[Field, Field] = {"game": GAME.id, "question": QUESTION, "status": "open"}
    pool |= {"options": msgspec.json.encode(OPTIONS), "options_count": len(OPTIONS)}
    pool |= {f"total:{index}": 0 for index in range(len(OPTIONS))}
    pool |= {"predictions": 0, "flushed_ms": 0, "due_ms": 0}
    for first in range(0, users, CHUNK):
        pipeline = client.pipeline(transaction=False)
        for index in range(first, min(first + CHUNK, users)):
            pipeline.hset(keys.account(f"user-{index}"), mapping={"opening": balance, "balance": balance})
        pipeline.execute()
    pipeline = client.pipeline(transaction=True)
    pipeline.set(keys.EPOCH, epoch)
    pipeline.set(keys.MONEY, users * balance)
    pipeline.hset(keys.pool(POOL), mapping=pool)
    pipeline.zadd(keys.pools(GAME.id), {POOL: 0})
    pipeline.hset(keys.GAMES, GAME.id, msgspec.json.encode(GAME))
    pipeline.execute()
    return epoch
