"""The questions to Redis about the journal: how it stands, what SQL may lack, and batches of commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from market import scripts
from market.journal import BEGINNING, Entry, Place, flat_fields, place_of, read_entry
from market.limits import MAX_FRIENDS
from market.protocol import ErrorCode
from market.store import Call, Failure, failure, failure_of

LOOKED_AT: Final = 2048
"""Entries that are looked at to answer one request, of all users together: a few ms of the master's time."""
LOOKED_AT_OF_ONE: Final = 256


class Report(Struct, frozen=True):
    """How the journal stands: its entries, those that are not in SQL, and all that were drained so far."""

    entries: int
    backlog: int
    oldest_age_ms: int
    drained: int


class Tail(Struct, frozen=True):
    """Entries that SQL may lack, newest first.

    Older than `floor` entries may be missing; with None there are none. Before `trimmed` the journal may have
    lost them to SQL.
    """

    trimmed: Place
    floor: Place | None
    entries: list[Entry]


def report(server: str, place: Place | None, max_entries: int) -> Call[Report]:
    """Report how far a SQL server is, set the journal's limit, and get how the journal stands."""
    command = scripts.evaluate(scripts.REPORT, server, "" if place is None else str(place), max_entries)
    return Call(command, _read_report, scripts.REPORT)


def audit(process: str, number: int, bodies: Sequence[bytes]) -> Call[bool]:
    """Write batches of commands, once for each number; whether the journal took them."""
    return Call(scripts.evaluate(scripts.AUDIT, process, number, *bodies), _read_audit, scripts.AUDIT)


def mutual_friends(user: str, game: str, pool: str) -> Call[list[str]]:
    """Whom a user shares predictions with in a pool; NO_SUCH_GAME, NO_SUCH_POOL."""
    command = scripts.evaluate_readonly(scripts.MUTUAL, user, game, pool, MAX_FRIENDS)
    return Call(command, _read_mutual, scripts.MUTUAL)


def account_tail(user: str, since: Place, before: Place | None) -> Call[Tail]:
    """The newest changes of a user's account from one place on, and before another."""
    return _tail(since, before, "", LOOKED_AT_OF_ONE, [user])


def predictions_tail(users: Sequence[str], pool: str, since: Place, before: Place | None) -> Call[Tail]:
    """Users' newest predictions in a pool between two places, and their cancellations whatever the end."""
    return _tail(since, before, pool, max(4, LOOKED_AT // max(1, len(users))), users)


def _tail(since: Place, before: Place | None, pool: str, most: int, users: Sequence[str]) -> Call[Tail]:
    command = scripts.evaluate_readonly(
        scripts.TAIL, *since, *(("", "", "") if before is None else before), pool, most, *users
    )
    return Call(command, _read_tail, scripts.TAIL)


def read_trimmed(value: bytes | None) -> Place:
    """The place before which the journal may have been trimmed, as Redis keeps it."""
    journal_id, _, epoch = (value or b"").decode().partition(" ")
    return place_of(f"{epoch}-{journal_id}") or BEGINNING


def _read_report(reply: Any) -> Report | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    return Report(*map(int, reply))


def _read_audit(reply: Any) -> bool | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    return bool(reply[0] != ErrorCode.JOURNAL_FULL)


def _read_mutual(reply: Any) -> list[str] | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    if reply[0] != 0:
        return failure(ErrorCode(reply[0]))
    return [name.decode() for name in reply[1:]]


def _read_tail(reply: Any) -> Tail | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    trimmed, floor, *entries = reply
    read = (read_entry(entry_id, flat_fields(flat)) for entry_id, flat in entries)
    return Tail(
        read_trimmed(trimmed), place_of(floor.decode()), [entry for entry in read if entry is not None]
    )
