"""Why a comparison counts as failed."""

from __future__ import annotations

from collections.abc import Iterator

from bench.result import ArchitectureResult, Result


def failures(result: Result) -> list[str]:
    """Why a comparison counts as failed, a line per reason; empty when it does not.

    A user could not connect or was lost, or a ledger does not add up. Of the control beside the service
    itself only the ledger counts: that its users suffer is what it is there to show.
    """
    reasons = [
        reason
        for name, found in result.architectures.items()
        for reason in (*_users(name, found), *_ledger(name, found))
    ]
    control = [
        reason for name, found in result.blocking.items() for reason in _ledger(f"{name} (blocking)", found)
    ]
    return reasons + control


def _users(name: str, found: ArchitectureResult) -> Iterator[str]:
    users = found.users
    if users.failed:
        yield f"{name}: {users.failed} of {users.requested} users could not connect"
    if users.lost:
        yield f"{name}: {users.lost} of {users.requested} users were lost"


def _ledger(name: str, found: ArchitectureResult) -> Iterator[str]:
    ledger = found.ledger
    if not ledger.balanced:
        yield (
            f"{name}: the ledger does not add up: {ledger.acknowledged} predictions acknowledged,"
            f" {ledger.rows} rows, {ledger.missing} missing, {ledger.duplicate} double,"
            f" {ledger.unexplained} unexplained; stakes of {ledger.stakes_sql} in SQL and of"
            f" {ledger.stakes_pools} in the pools"
        )
