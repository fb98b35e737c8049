"""All that a market has on record, as it stands: accounts, pools, receipts and journal in Redis, rows in SQL.

For those who have to prove that nothing was lost or taken twice: `dump` has the sums, this each entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import redis
from msgspec import Struct

from market import dump, keys
from market.dump import DumpError
from market.journal import read_entry
from market.redis_client import redis_client
from market.settings import Settings
from market.store import UnavailableError

CHUNK: Final = 1000

_RECEIPT: Final = re.compile(r"[^|]*\|(\S+) (\S+) .+")
"""As the scripts keep it: what was asked for, the epoch, the journal id, and what is no matter here."""


class Entry(Struct, frozen=True, array_like=True, tag_field="of"):
    """What every line has: what it is an entry of."""


class Account(Entry, frozen=True, tag="account"):
    """A user's money in minor units: at the beginning, and now."""

    user: str
    opening: int
    balance: int


class Pool(Entry, frozen=True, tag="pool"):
    """The stakes on each option of a pool (minor units), and the number of predictions."""

    pool: str
    totals: list[int]
    predictions: int


class Receipt(Entry, frozen=True, tag="receipt"):
    """What a repeated key is answered with."""

    user: str
    key: str
    epoch: int
    journal_id: str


class Prediction(Entry, frozen=True, tag="journal"):
    """An entry of the journal."""

    user: str
    key: str
    pool: str
    option: int
    stake: int
    epoch: int
    journal_id: str


class Row(Prediction, frozen=True, tag="sql"):
    """A row of the SQL master."""


def entries(settings: Settings) -> Iterator[Entry]:
    """Every entry, those of the journal and of SQL in their order; raises `DumpError`."""
    try:
        with closing(redis_client(settings.redis_master)) as client:
            yield from _accounts(client)
            for pool, sums in dump.pools(client).items():
                yield Pool(pool, sums.totals, sums.predictions)
            yield from _receipts(client)
            yield from _journal(client)
    except (redis.RedisError, UnavailableError) as error:
        raise DumpError(f"{settings.redis_master.title}: {error}") from error
    for row in dump.rows(settings):
        yield Row(*row)


def _accounts(client: redis.Redis) -> Iterator[Account]:
    for names in _scan(client, keys.ACCOUNT):
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hmget(name, "opening", "balance")
        for name, (opening, balance) in zip(names, pipeline.execute(), strict=True):
            yield Account(name.removeprefix(keys.ACCOUNT), int(opening), int(balance))


def _receipts(client: redis.Redis) -> Iterator[Receipt]:
    for names in _scan(client, keys.RECEIPT):
        values: Any = client.mget(names)
        for name, value in zip(names, values, strict=True):
            kept = _RECEIPT.fullmatch(value.decode()) if value else None
            if kept:
                user, _, key = name.removeprefix(keys.RECEIPT).partition(":")
                yield Receipt(user, key, int(kept[1]), kept[2])


def _journal(client: redis.Redis) -> Iterator[Prediction]:
    start = "-"
    while True:
        found: Any = client.xrange(keys.JOURNAL, min=start, count=CHUNK)
        for entry_id, fields in found:
            entry = read_entry(entry_id, fields)
            if entry is not None and entry.kind == "prediction":
                values = {name: getattr(entry, name) for name in Prediction.__struct_fields__}
                yield Prediction(**values)
        if len(found) < CHUNK:
            return
        start = f"({found[-1][0].decode()}"


def _scan(client: redis.Redis, prefix: str) -> Iterator[list[str]]:
    """The keys with that prefix, each once, in chunks."""
    found = {name.decode() for name in client.scan_iter(match=f"{prefix}*", count=CHUNK)}
    names = sorted(found)
    for first in range(0, len(names), CHUNK):
        yield names[first : first + CHUNK]
