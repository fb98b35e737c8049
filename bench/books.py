"""What `market dump` says was staked, and the proof of a run's money with it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from bench.errors import BenchError
from bench.load import Load
from bench.proof import Row, prove
from bench.result import Ledger


class BooksError(BenchError):
    """The dump is not one."""


class Dump(Struct, frozen=True):
    """The first line of `market dump`: the pools' totals and what was taken from all accounts."""

    pools: dict[str, PoolTotals]
    accounts_debited: int


class PoolTotals(Struct, frozen=True):
    """A pool's stakes by option (minor units) and the number of its predictions."""

    totals: list[int]
    predictions: int


def prove_dump(lines: Iterable[str | bytes], load: Load, since_epoch: int = 0) -> Ledger:
    """Prove the money of a load with the lines of a dump.

    Args:
        lines: the lines; the first has the sums, each other one a row.
        load: what the users were told.
        since_epoch: rows of an earlier epoch are those of an earlier run, and left out.

    Raises:
        BooksError: when the lines are no dump.
    """
    given = iter(lines)
    try:
        totals = msgspec.json.decode(next(given, b""), type=Dump)
        rows = [msgspec.json.decode(line, type=Row) for line in given]
    except msgspec.DecodeError as error:
        raise BooksError(f"What the books say cannot be read: {error}.") from error
    return prove(
        load.acknowledged,
        load.unanswered,
        [row for row in rows if row.epoch >= since_epoch],
        {pool: found.totals for pool, found in totals.pools.items()},
        totals.accounts_debited,
    )
