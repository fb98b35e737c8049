"""How the journal stands, for an operator."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, Final

import redis
from msgspec import Struct

from market import keys, scripts
from market.redis_client import redis_client
from market.settings import MarketError, Settings
from market.store import UnavailableError

SAMPLE_S: Final = 1.0
"""Over how long the drain rate is measured."""


class StatusError(MarketError):
    """The state of the journal cannot be read."""


class Status(Struct, frozen=True):
    """What the journal holds, what of it is not in SQL yet, and how far each region's SQL is.

    `backlog` entries are not in SQL, the oldest for `oldest_age_ms`; `drained_per_s` are brought there;
    `rejected` could not be read and wait for somebody.
    """

    entries: int
    limit: int
    backlog: int
    oldest_age_ms: int
    drained_per_s: float
    rejected: int
    trimmed: str
    positions: dict[str, str]


def status(settings: Settings) -> Status:
    """How the journal stands; takes a second. Raises `StatusError`."""
    try:
        with closing(redis_client(settings.redis_master)) as client:
            before = _sample(client)
            began_s = time.monotonic()
            time.sleep(SAMPLE_S)
            now = _sample(client)
            rate = max(0, now[3] - before[3]) / (time.monotonic() - began_s)
            pipeline = client.pipeline(transaction=False)
            pipeline.get(keys.JOURNAL_LIMIT)
            pipeline.xlen(keys.REJECTED)
            pipeline.get(keys.JOURNAL_TRIMMED)
            pipeline.hgetall(keys.POSITIONS)
            limit, rejected, trimmed, positions = pipeline.execute()
            return Status(
                entries=now[0],
                limit=int(limit or scripts.JOURNAL_LIMIT_DEFAULT),
                backlog=now[1],
                oldest_age_ms=now[2],
                drained_per_s=round(rate, 1),
                rejected=rejected,
                trimmed=(trimmed or b"").decode(),
                positions={k.decode(): v.split()[0].decode() for k, v in sorted(positions.items())},
            )
    except (redis.RedisError, UnavailableError) as error:
        raise StatusError(f"{settings.redis_master.title}: {error}") from error


def _sample(client: redis.Redis) -> tuple[int, int, int, int]:
    reply: Any = client.eval_ro(scripts.STANDING.text, 0)
    entries, backlog, oldest_age_ms, drained = map(int, reply)
    return entries, backlog, oldest_age_ms, drained
