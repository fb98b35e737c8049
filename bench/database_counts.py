"""What the databases of an architecture served while a load was on it."""

from __future__ import annotations

from msgspec import Struct

from bench.load import Load
from bench.windows import CounterSample


class DatabaseCounts(Struct, frozen=True):
    """What all databases of an architecture have served since they started."""

    redis_hits: int
    redis_misses: int
    sql_queries: int


def counters(before: DatabaseCounts, after: DatabaseCounts, load: Load) -> list[CounterSample]:
    """The service's counts when a load began and when it had ended, by those of its databases."""
    return [
        CounterSample(load.started_at_s, 0, 0, before.redis_hits, before.redis_misses, before.sql_queries),
        CounterSample(
            load.ended_at_s,
            load.users.connected,
            load.requests,
            after.redis_hits,
            after.redis_misses,
            after.sql_queries,
        ),
    ]
