"""How much the databases that a process uses have served: what a benchmark counts before and after a run."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pymysql
import redis
from msgspec import Struct

from market import sql
from market.ledger import redis_client
from market.settings import MarketError, RedisEndpoint, Settings, SqlEndpoint


class CountersError(MarketError):
    """A database cannot be asked."""


class Served(Struct, frozen=True):
    """What one Redis has looked up: keys that were there, and keys that were not."""

    hits: int
    misses: int


class Counters(Struct, frozen=True):
    """By `host:port`: what each Redis has looked up, and the statements that each SQL server was sent."""

    redis: dict[str, Served]
    sql: dict[str, int]


def counters(settings: Settings) -> Counters:
    """What all databases of the settings have served since they started; raises `CountersError`."""
    redises = {_name(endpoint): endpoint for endpoint in (settings.redis_master, settings.redis_read)}
    servers = {_name(endpoint): endpoint for endpoint in (settings.sql_master, settings.sql_read)}
    return Counters(
        {name: _served(endpoint) for name, endpoint in redises.items()},
        {name: _questions(endpoint) for name, endpoint in servers.items()},
    )


def _name(endpoint: RedisEndpoint | SqlEndpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


def _served(endpoint: RedisEndpoint) -> Served:
    try:
        with closing(redis_client(endpoint)) as client:
            stats: Any = client.info("stats")
    except redis.RedisError as error:
        raise CountersError(f"redis {_name(endpoint)}: {error}") from error
    return Served(stats["keyspace_hits"], stats["keyspace_misses"])


def _questions(endpoint: SqlEndpoint) -> int:
    try:
        with closing(sql.connect(endpoint)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            row: Any = cursor.fetchone()
    except pymysql.MySQLError as error:
        raise CountersError(f"sql {_name(endpoint)}: {error}") from error
    return int(row[1])
