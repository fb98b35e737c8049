"""What the ledger does beside draining: it notes how far SQL is, and shortens the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import redis

from market import keys, scripts
from market.calls_journal import read_trimmed
from market.journal import Place, place_of
from market.ledger_delivery import Delivered

_log = logging.getLogger(__name__)

TRIM_MARGIN_MS: Final = 60_000
"""Entries that are younger than this stay in the journal while there is room."""
SQL_MAY_LOSE_MS: Final = 2_000
"""Entries that are younger than this stay in any case.

SQL flushes its log once in a second; what its host lost when it failed, the ledger writes again.
"""
POSITION_LIFETIME_MS: Final = 3_600_000
"""A SQL server that nobody reported for so long is not waited for."""
SPACIOUS: Final = 0.5
"""The share of its limit above which the journal is shortened as far as SQL's master allows.

A replica that is far behind must not stop the market; its readers ask the master meanwhile.
"""


def drained(client: redis.Redis) -> Place | None:
    """The place before which SQL has every entry, None when there is no journal."""
    reply: Any = client.eval_ro(scripts.POSITION.text, 0)
    return None if reply is None else Place(*map(int, reply))


def delivered_since(client: redis.Redis, place: Place, count: int) -> Iterator[list[Delivered]]:
    """What was delivered before and stands at or after a place, and maybe some of what is before it."""
    groups: Any = client.xinfo_groups(keys.JOURNAL)
    last = next(g["last-delivered-id"] for g in groups if g["name"] == keys.LEDGER_GROUP.encode())
    epoch: Any = client.get(keys.EPOCH)
    first = place.journal_id if place.epoch >= int(epoch or 0) else "-"
    while True:
        page: Any = client.xrange(keys.JOURNAL, min=first, max=last, count=count)
        if page:
            yield page
        if len(page) < count:
            return
        first = "(" + page[-1][0].decode()


def trim(client: redis.Redis, place: Place) -> None:
    """Take entries out of the journal that are before `place` and that the regions' SQL has too."""
    entries: Any
    limit: Any
    now: Any
    trimmed: Any
    positions: Any
    pipeline = client.pipeline(transaction=False)
    pipeline.xlen(keys.JOURNAL)
    pipeline.get(keys.JOURNAL_LIMIT)
    pipeline.time()
    pipeline.get(keys.JOURNAL_TRIMMED)
    pipeline.hgetall(keys.POSITIONS)
    entries, limit, now, trimmed, positions = pipeline.execute()
    now_ms = now[0] * 1000 + now[1] // 1000
    bound, margin_ms = place, SQL_MAY_LOSE_MS
    if entries < int(limit or scripts.JOURNAL_LIMIT_DEFAULT) * SPACIOUS:
        for server, value in positions.items():
            reported = _reported(value, now_ms)
            if reported is None:
                _log.info("nobody reads %s any more", server.decode())
                client.hdel(keys.POSITIONS, server)
            else:
                bound = min(bound, reported)
        margin_ms = TRIM_MARGIN_MS
    bound = min(bound, place._replace(ms=max(0, now_ms - margin_ms), sequence=0))
    # Ids may repeat in a later epoch: a place of an earlier one bounds nothing in this.
    if bound.epoch < place.epoch or bound <= read_trimmed(trimmed):
        return
    client.eval(scripts.TRIM.text, 0, bound.journal_id, str(bound.epoch))


def _reported(value: bytes, now_ms: int) -> Place | None:
    """The place in a report, None when the report is too old."""
    place, _, seen_ms = value.decode().partition(" ")
    return place_of(place) if now_ms - int(seen_ms) <= POSITION_LIFETIME_MS else None
