"""The proof of money: what users were told, what the books say, and what was taken from the accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from bench.outcome import Prediction
from bench.result import Ledger


class Row(Struct, frozen=True, array_like=True):
    """A prediction in the SQL master."""

    user: str
    key: str
    pool: str
    option: int
    stake: int
    epoch: int
    journal_id: str


def prove(
    acknowledged: Collection[Prediction],
    unanswered: Collection[Prediction],
    rows: Sequence[Row],
    pools_totals: Mapping[str, Sequence[int]],
    accounts_debited: int,
) -> Ledger:
    """Compare what was acknowledged to the users with the rows, the pools and the accounts.

    A prediction is known by its user and its key. A row that disagrees with what the user sent (pool,
    option or stake) is no row of that prediction: it is unexplained, and an acknowledged prediction without
    another is missing. The books balance when nothing is missing, duplicate or unexplained, every pool's
    totals are those of its rows, option by option, and the sum of the stakes is the same in the
    rows, in the pools and taken from the accounts.

    Args:
        acknowledged: answered with a receipt.
        unanswered: sent, with an outcome that the user does not know; one that is acknowledged too counts as
            acknowledged.
        rows: all rows of the SQL master.
        pools_totals: by pool, the stake on each of its options in the Redis master (minor units).
        accounts_debited: the sum of what was taken from the accounts there (minor units).
    """
    told = {prediction[:2]: prediction for prediction in acknowledged}
    unsure = {prediction[:2]: prediction for prediction in unanswered if prediction[:2] not in told}
    sent = told | unsure
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    unexplained = 0
    for row in rows:
        name = (row.user, row.key)
        if sent.get(name) == (row.user, row.key, row.pool, row.option, row.stake):
            found[name] += 1
        else:
            unexplained += 1
    missing = sum(name not in found for name in told)
    duplicate = sum(count - 1 for count in found.values())
    stakes_sql = sum(row.stake for row in rows)
    stakes_pools = sum(map(sum, pools_totals.values()))
    return Ledger(
        acknowledged=len(told),
        rows=len(rows),
        missing=missing,
        duplicate=duplicate,
        balanced=(
            missing == duplicate == unexplained == 0
            and stakes_sql == stakes_pools == accounts_debited
            and _stakes(rows) == _stakes_in(pools_totals)
        ),
        unanswered=len(unsure),
        unanswered_rows=sum(name in found for name in unsure),
        unexplained=unexplained,
        stakes_sql=stakes_sql,
        stakes_pools=stakes_pools,
    )


def _stakes(rows: Sequence[Row]) -> dict[tuple[str, int], int]:
    stakes: defaultdict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        stakes[row.pool, row.option] += row.stake
    return stakes


def _stakes_in(pools_totals: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], int]:
    return {
        (pool, option): total
        for pool, totals in pools_totals.items()
        for option, total in enumerate(totals)
        if total
    }
