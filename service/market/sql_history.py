"""What is read of the history in SQL, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from pymysql.connections import Connection

from market.journal import BEGINNING, Entry, Place

COLUMNS: Final = (
    "epoch, journal_ms, journal_seq, kind, user, idempotency_key, game, pool, option_index, stake, amount,"
    " balance, body"
)
_BEFORE: Final = (
    "(epoch < %s OR (epoch = %s AND journal_ms < %s)"
    " OR (epoch = %s AND journal_ms = %s AND journal_seq < %s))"
)
"""Written out, since the comparison of whole rows uses no index."""
_NEWEST_FIRST: Final = "ORDER BY epoch DESC, journal_ms DESC, journal_seq DESC"

_POSITION: Final = f"""
    SELECT epoch, journal_ms, journal_seq FROM journal_positions
    {_NEWEST_FIRST} LIMIT 1"""  # noqa: S608  # of constants only
_TRANSACTIONS: Final = f"""
    SELECT {COLUMNS} FROM journal WHERE user = %s AND amount IS NOT NULL AND {_BEFORE}
    {_NEWEST_FIRST} LIMIT %s"""  # noqa: S608  # of constants only
_PREDICTIONS: Final = f"""
    SELECT {COLUMNS} FROM journal AS placed
    WHERE pool = %s AND user IN %s AND kind = 'prediction' AND {_BEFORE} AND NOT EXISTS (
        SELECT 1 FROM journal AS taken_back
        WHERE taken_back.pool = placed.pool AND taken_back.user = placed.user
        AND taken_back.kind = 'cancellation' AND taken_back.idempotency_key = placed.idempotency_key)
    {_NEWEST_FIRST} LIMIT %s"""  # noqa: S608  # of constants only


class Rows(Struct, frozen=True):
    """Entries of one server, newest first, and the place before which it has every one."""

    position: Place
    entries: list[Entry]


def position(connection: Connection[Any]) -> Place:
    """The place before which a server has every entry."""
    with connection.cursor() as cursor:
        cursor.execute(_POSITION)
        row = cursor.fetchone()
    return Place(*row) if row else BEGINNING


def transactions(connection: Connection[Any], user: str, before: Place | None, limit: int) -> Rows:
    """The newest changes of an account that a server has for certain, before a place if one is given."""
    complete = position(connection)
    end = complete if before is None else min(before, complete)
    return Rows(complete, _entries(connection, _TRANSACTIONS, (user, *_ends(end), limit)))


def predictions(
    connection: Connection[Any], pool: str, users: Sequence[str], before: Place | None, limit: int
) -> Rows:
    """The newest predictions of users in a pool that a server has for certain, without cancelled ones."""
    complete = position(connection)
    if not users:
        return Rows(complete, [])
    end = complete if before is None else min(before, complete)
    return Rows(complete, _entries(connection, _PREDICTIONS, (pool, users, *_ends(end), limit)))


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry that a row of the table `journal` holds."""
    epoch, ms, sequence, *fields = row
    return Entry(epoch, f"{ms}-{sequence}", *fields)


def _ends(end: Place) -> tuple[int, ...]:
    return end.epoch, end.epoch, end.ms, end.epoch, end.ms, end.sequence


def _entries(connection: Connection[Any], statement: str, values: tuple[Any, ...]) -> list[Entry]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [entry_of(row) for row in cursor.fetchall()]
