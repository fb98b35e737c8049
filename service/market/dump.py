"""What the proof of money compares: the pools and accounts in Redis, and the rows in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymysql
import redis
from msgspec import Struct
from pymysql.cursors import SSCursor

from market import keys, sql
from market.redis_client import redis_client
from market.settings import MarketError, Settings
from market.store import UnavailableError


class DumpError(MarketError):
    """The state cannot be read."""


class PoolSums(Struct, frozen=True):
    """The stakes on each option of a pool (minor units) and the number of predictions."""

    totals: list[int]
    predictions: int


class Sums(Struct, frozen=True):
    """What Redis has; `accounts_debited` is the sum of all that was taken from accounts."""

    pools: dict[str, PoolSums]
    accounts_debited: int


def sums(settings: Settings) -> Sums:
    """The pools and accounts in the Redis master; raises `DumpError`."""
    try:
        with closing(redis_client(settings.redis_master)) as client:
            return Sums(pools(client), _debited(client))
    except (redis.RedisError, UnavailableError) as error:
        raise DumpError(f"{settings.redis_master.title}: {error}") from error


def rows(settings: Settings) -> Iterator[tuple[str, str, str, int, int, int, str]]:
    """The rows of the SQL master: user, key, pool, option, stake, epoch, journal id; raises `DumpError`."""
    endpoint = settings.sql_master
    try:
        with (
            closing(sql.connect(endpoint, cursorclass=SSCursor)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT user, idempotency_key, pool, option_index, stake, epoch, journal_ms, journal_seq"
                " FROM predictions ORDER BY epoch, journal_ms, journal_seq"
            )
            for user, key, pool, option, stake, epoch, time_ms, sequence in cursor:
                yield user, key, pool, option, stake, epoch, f"{time_ms}-{sequence}"
    except pymysql.MySQLError as error:
        raise DumpError(f"sql {endpoint.host}:{endpoint.port}: {error}") from error


def pools(client: redis.Redis) -> dict[str, PoolSums]:
    """By pool, its sums."""
    found = {}
    for game in sorted(_names(client.hkeys(keys.GAMES))):
        for pool in _names(client.zrange(keys.pools(game), 0, -1)):
            state: Any = client.hgetall(keys.pool(pool))
            totals = [int(state[f"total:{i}".encode()]) for i in range(int(state[b"options_count"]))]
            found[pool] = PoolSums(totals, int(state[b"predictions"]))
    return found


def _debited(client: redis.Redis) -> int:
    total, batch = 0, []
    for name in client.scan_iter(match=f"{keys.ACCOUNT}*", count=5000):
        batch.append(name)
        if len(batch) >= 5000:
            total += _debited_of(client, batch)
            batch = []
    return total + _debited_of(client, batch)


def _debited_of(client: redis.Redis, accounts: list[bytes]) -> int:
    pipeline = client.pipeline(transaction=False)
    for name in dict.fromkeys(accounts):
        pipeline.hmget(name, "opening", "balance")
    return sum(int(opening) - int(balance) for opening, balance in pipeline.execute())


def _names(reply: Any) -> list[str]:
    return [name.decode() for name in reply]
