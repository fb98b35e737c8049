"""Why a comparison counts as failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bench.checks import asked
from bench.result import ArchitectureResult, Result
from bench.wording import listing, plural

REQUESTS_SHARE: Final = 0.001
"""Above this share of the requests without the answer that they asked for, a run counts as failed.

A sound run has none. The room is for the single one of a long run over real networks; it is in the tables.
"""

MISSED_SHARE: Final = 0.001
"""The same for broadcasts that a connected user did not get, of all deliveries.

That a user is told that pushes are lost counts as one that was missed; how many it were is not known.
"""

_ANSWERS: Final = ("error:", "reply:", "dropped:")
"""What the errors of requests begin with; the others are those of connections, which the users' count has."""


def failures(result: Result) -> list[str]:
    """Why a comparison counts as failed, a line per reason; empty when it does not.

    A run is missing, a user could not connect or was lost, no prediction was acknowledged, requests were not
    answered as they asked or broadcasts were missed beyond the odd one, or a ledger does not add up. Of the
    control beside the service itself only the ledger counts: that its users suffer is what it is there to
    show.
    """
    reasons = [
        reason
        for name, found in result.architectures.items()
        for judge in (_users, _predictions, _requests, _broadcasts, _ledger)
        for reason in judge(name, found)
    ]
    control = [
        reason for name, found in result.blocking.items() for reason in _ledger(f"{name} (blocking)", found)
    ]
    return [f"{name} was not run" for name in result.missing] + reasons + control


def _users(name: str, found: ArchitectureResult) -> Iterator[str]:
    users = found.users
    if users.failed:
        yield f"{name}: {users.failed} of {users.requested} users could not connect"
    if users.lost:
        yield f"{name}: {users.lost} of {users.requested} users were lost"


def _predictions(name: str, found: ArchitectureResult) -> Iterator[str]:
    if not found.ledger.acknowledged:
        yield f"{name}: no prediction was acknowledged, so nothing is proven"


def _requests(name: str, found: ArchitectureResult) -> Iterator[str]:
    """By what was due; in results that did not count it, by the errors among what was acknowledged."""
    errors = {code: count for code, count in found.errors.items() if code.startswith(_ANSWERS)}
    wrong = sum(errors.values())
    due = found.ledger.acknowledged + wrong
    if counts := asked(found):
        wrong, due = counts[1] - counts[0], counts[1]
    if wrong > REQUESTS_SHARE * due:
        kinds = f" ({listing([f'{code}: {count:,}' for code, count in errors.items()])})" if errors else ""
        yield f"{name}: {wrong:,} of {plural(due, 'request')} did not get what they asked for{kinds}"


def _broadcasts(name: str, found: ArchitectureResult) -> Iterator[str]:
    missed = found.broadcasts.missed + found.errors.get("push:state_lost", 0)
    due = missed + found.broadcasts.received
    if missed > MISSED_SHARE * due:
        yield f"{name}: users missed {missed:,} of {plural(due, 'delivery', 'deliveries')} of broadcasts"


def _ledger(name: str, found: ArchitectureResult) -> Iterator[str]:
    ledger = found.ledger
    if not ledger.balanced:
        yield (
            f"{name}: the ledger does not add up: {ledger.acknowledged} predictions acknowledged,"
            f" {ledger.rows} rows, {ledger.missing} missing, {ledger.duplicate} double,"
            f" {ledger.unexplained} unexplained; stakes of {ledger.stakes_sql} in SQL and of"
            f" {ledger.stakes_pools} in the pools"
        )
