"""The arithmetic of a pool's settlement: integers in minor units, nothing made and nothing lost.

The winners share the pool in proportion to their stakes, after the house has taken its part. Every share is
rounded down, so that stakes = winnings + takeout + remainder; the house keeps the remainder, which is less
than one unit per winning prediction. When nobody won, or the pool is voided, every stake is given back and
the house takes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal

from msgspec import Struct

PERMILLE: Final = 1000

Pays = Literal["winnings", "refund"]


class Totals(Struct, frozen=True):
    """A closed pool's stakes: all, those on the winners, and the house's part of them (permille)."""

    total: int
    winning: int
    takeout: int


class Terms(Struct, frozen=True):
    """What a pool pays: `net` is shared by stakes of `winning` in total, the house takes `taken`."""

    pays: Pays
    winning: int
    net: int
    taken: int


class Stake(Struct, frozen=True):
    """A prediction in a pool's book."""

    option: int
    amount: int


def terms(totals: Totals) -> Terms:
    """What a pool with these totals pays.

    >>> terms(Totals(total=1000, winning=300, takeout=50))
    Terms(pays='winnings', winning=300, net=950, taken=50)
    >>> terms(Totals(total=1000, winning=0, takeout=50))
    Terms(pays='refund', winning=0, net=1000, taken=0)
    """
    if totals.winning == 0:
        return Terms("refund", 0, totals.total, 0)
    taken = totals.total * totals.takeout // PERMILLE
    return Terms("winnings", totals.winning, totals.total - taken, taken)


def payments(terms: Terms, winners: Collection[int], predictions: Iterable[Stake | None]) -> list[int | None]:
    """What each prediction is paid, None for one that was cancelled."""
    return [
        None if prediction is None else _payment(terms, winners, prediction) for prediction in predictions
    ]


def _payment(terms: Terms, winners: Collection[int], prediction: Stake) -> int:
    if terms.pays == "refund":
        return prediction.amount
    if prediction.option not in winners:
        return 0
    return prediction.amount * terms.net // terms.winning
