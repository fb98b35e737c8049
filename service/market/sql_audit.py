"""The audit log in SQL, oldest first, in pages: no statement stays open while somebody reads slowly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pymysql.connections import Connection

from market.journal import Command, Entry, Place
from market.sql_history import COLUMNS, entry_of

PAGE: Final = 1000

_FROM: Final = (
    "(epoch > %(e)s OR (epoch = %(e)s AND journal_ms > %(m)s)"
    " OR (epoch = %(e)s AND journal_ms = %(m)s AND journal_seq >= %(s)s))"
)
_UNTIL: Final = (
    "(epoch < %(end_e)s OR (epoch = %(end_e)s AND journal_ms < %(end_m)s)"
    " OR (epoch = %(end_e)s AND journal_ms = %(end_m)s AND journal_seq < %(end_s)s))"
)
_AFTER_PART: Final = "NOT (epoch = %(e)s AND journal_ms = %(m)s AND journal_seq = %(s)s AND part < %(part)s)"
_OF_USER: Final = "user = %(user)s AND"
_ORDER: Final = "ORDER BY epoch, journal_ms, journal_seq"
_ENTRIES: Final = f"""
    SELECT {COLUMNS} FROM journal WHERE {{user}} {_FROM} AND {_UNTIL}
    {_ORDER} LIMIT %(limit)s"""  # noqa: S608  # of constants only
_COMMANDS: Final = f"""
    SELECT epoch, journal_ms, journal_seq, part, user, type, code, at_ms, took_ms FROM commands
    WHERE {{user}} {_FROM} AND {_UNTIL} AND {_AFTER_PART}
    {_ORDER}, part LIMIT %(limit)s"""  # noqa: S608  # of constants only


def entries(connection: Connection[Any], user: str | None, start: Place, end: Place) -> Iterator[Entry]:
    """The entries from one place on, before another: a user's, or all."""
    while True:
        page = [entry_of(row) for row in _page(connection, _ENTRIES, user, start, end)]
        yield from page
        if len(page) < PAGE:
            return
        start = page[-1].place.following


def commands(
    connection: Connection[Any], user: str | None, start: Place, end: Place
) -> Iterator[tuple[Place, int, Command]]:
    """The commands from one place on, before another, each with its place and its part of the entry there."""
    part = 0
    while True:
        rows = _page(connection, _COMMANDS, user, start, end, part)
        for epoch, ms, sequence, part, name, *command in rows:
            start = Place(epoch, ms, sequence)
            yield start, part, Command(name or "", *command)
        if len(rows) < PAGE:
            return
        part += 1


def _page(
    connection: Connection[Any], statement: str, user: str | None, start: Place, end: Place, part: int = 0
) -> tuple[Any, ...]:
    values = {"user": user, "limit": PAGE, "part": part}
    values |= zip("ems", start, strict=True)
    values |= zip(("end_e", "end_m", "end_s"), end, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(user="" if user is None else _OF_USER), values)
        rows: tuple[Any, ...] = cursor.fetchall()
        return rows
