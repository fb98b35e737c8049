"""Deciding and paying pools from a process that may wait for Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from market import administration, payouts
from market.administration import Outcome
from market.blocking_calls import Master
from market.payouts import CHUNK, End, Part
from market.settlement import Totals, payments, terms
from market.store import Failure


def resolve(
    master: Master, by: str, game: str, pool: str, winners: Sequence[int], *, event: str = ""
) -> Outcome | Failure:
    """Close a pool and fix its outcome; it is void without winners."""
    answer = master.ask(administration.resolve(by, game, pool, winners, event=event))
    if isinstance(answer, Totals):
        known = (answer, terms(answer))
        answer = master.ask(administration.resolve(by, game, pool, winners, event=event, known=known))
    if isinstance(answer, Totals):
        raise AssertionError(f"the totals of the closed pool {pool} changed")
    return answer


def pay(master: Master, pool: str, stopped: Callable[[], bool], chunk: int = CHUNK) -> End | Failure:
    """Pay a pool whose outcome is fixed, until it is settled.

    Ends early as `elsewhere` when it is stopped, or when another process pays the next part and goes on.
    """
    settlement = master.ask(payouts.settlement(pool))
    if settlement is None:
        return "elsewhere"
    if isinstance(settlement, Failure):
        return settlement
    progress = master.ask(payouts.settle(pool, settlement.cursor, limit=chunk))
    while isinstance(progress, Part):
        if stopped():
            return "elsewhere"
        paid = payments(settlement.terms, settlement.winners, progress.predictions)
        progress = master.ask(payouts.settle(pool, progress.cursor, paid, chunk))
    return progress
