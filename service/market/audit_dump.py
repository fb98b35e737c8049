"""The audit log as lines of JSON: from SQL up to its position, and what is newer from the journal."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import msgspec
import pymysql
import redis
from pymysql.connections import Connection

from market import keys, sql, sql_audit
from market.calls_journal import read_trimmed
from market.journal import BEGINNING, Command, Entry, Place, commands_of, read_entry
from market.redis_client import redis_client
from market.settings import MarketError, Settings
from market.sql_history import position
from market.store import UnavailableError

_log = logging.getLogger(__name__)

PAGE: Final = 1000
"""Entries of the journal that are read at once."""
PROCESS_LIFETIME_MS: Final = 10_000
"""An API process that has not written for so long is gone, or does not reach the journal."""
PATIENCE_S: Final = 10.0
POLL_S: Final = 0.05

Line = dict[str, Any]
_Placed = tuple[Place, int, Line]
_encode: Final = msgspec.json.Encoder().encode


class AuditError(MarketError):
    """The audit log cannot be read."""


def lines(settings: Settings, user: str | None) -> Iterator[bytes]:
    """The audit log of a user, or of everybody, in order, a line of JSON for each.

    It has everything that was answered before it was asked for. It waits first until every API process has
    written what it had gathered, then reads pages: what it needs of memory does not grow with the log.

    Raises:
        AuditError: when a server cannot be reached or answers with an error.
    """
    try:
        with (
            closing(redis_client(settings.redis_master)) as client,
            closing(sql.connect(settings.sql_master)) as connection,
        ):
            _wait_for_processes(client)
            for _, _, line in _read(client, connection, user, _end(client, connection)):
                yield _encode(line)
    except (redis.RedisError, UnavailableError, pymysql.MySQLError, OSError) as error:
        raise AuditError(f"the audit log cannot be read: {error}") from error


def _wait_for_processes(client: redis.Redis) -> None:
    """Until each API process has begun and ended a write; one that was under way may lack something."""
    waited_for = {process: number + 2 for process, number in _processes(client).items()}
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        now = _processes(client)
        late = [p.decode() for p, number in waited_for.items() if p in now and now[p] < number]
        if not late:
            return
        if time.monotonic() > deadline_s:
            _log.warning("commands may be missing: the journal does not take those of %s", ", ".join(late))
            return
        time.sleep(POLL_S)


def _processes(client: redis.Redis) -> dict[bytes, int]:
    """The API processes that are alive, and the number of the last write of each."""
    known: Any = client.hgetall(keys.AUDITORS)
    now: Any = client.time()
    words = {process: value.split() for process, value in known.items()}
    return {
        process: int(number)
        for process, (number, seen_ms) in words.items()
        if now[0] * 1000 - int(seen_ms) <= PROCESS_LIFETIME_MS
    }


def _end(client: redis.Redis, connection: Connection[Any]) -> Place:
    """The place after everything that is there now."""
    newest: Any = client.xrevrange(keys.JOURNAL, count=1)
    entry = read_entry(*newest[0]) if newest else None
    if newest and entry is None:
        epoch: Any = client.get(keys.EPOCH)
        ms, _, sequence = newest[0][0].decode().partition("-")
        return Place(int(epoch or 0), int(ms), int(sequence) + 1)
    complete = position(connection)
    return complete if entry is None else max(complete, entry.place.following)


def _read(
    client: redis.Redis, connection: Connection[Any], user: str | None, end: Place
) -> Iterator[_Placed]:
    start = BEGINNING
    while start < end:
        complete = min(position(connection), end)
        if start < complete:
            yield from _in_sql(connection, user, start, complete)
            start = complete
            continue
        page, trimmed = _in_journal(client, start)
        if trimmed > start:
            if position(connection) <= start:
                raise AuditError("SQL has less than the journal gave up for it; is it the master?")
            continue
        for entry in page:
            if entry.place >= end:
                return
            yield from _lines_of(entry, user)
            start = entry.place.following
        if not page:
            return


def _in_sql(connection: Connection[Any], user: str | None, start: Place, end: Place) -> Iterator[_Placed]:
    entries = (
        (entry.place, 0, _entry_line(entry)) for entry in sql_audit.entries(connection, user, start, end)
    )
    commands = (
        (place, part, _command_line(place, part, command))
        for place, part, command in sql_audit.commands(connection, user, start, end)
    )
    return heapq.merge(entries, commands, key=lambda placed: placed[:2])


def _in_journal(client: redis.Redis, start: Place) -> tuple[list[Entry], Place]:
    """A page of the journal from a place on, and the place before which it may have been trimmed."""
    epoch: Any = client.get(keys.EPOCH)
    first = start.journal_id if start.epoch >= int(epoch or 0) else "-"
    entries: list[Entry] = []
    while True:
        pipeline = client.pipeline(transaction=True)
        pipeline.xrange(keys.JOURNAL, min=first, count=PAGE)
        pipeline.get(keys.JOURNAL_TRIMMED)
        page, trimmed = pipeline.execute()
        read = (read_entry(entry_id, fields) for entry_id, fields in page)
        entries = [entry for entry in read if entry is not None and entry.place >= start]
        if entries or len(page) < PAGE:
            return entries, read_trimmed(trimmed)
        first = b"(" + page[-1][0]


def _lines_of(entry: Entry, user: str | None) -> Iterator[_Placed]:
    if entry.kind == "command":
        for part, command in enumerate(commands_of(entry)):
            if user is None or command.user == user:
                yield entry.place, part, _command_line(entry.place, part, command)
    elif user is None or entry.user == user:
        yield entry.place, 0, _entry_line(entry)


def _entry_line(entry: Entry) -> Line:
    fields = ("kind", "user", "key", "game", "pool", "option", "stake", "amount", "balance")
    line: Line = {"epoch": entry.epoch, "journal_id": entry.journal_id, "at_ms": entry.place.ms}
    line |= {name: value for name in fields if (value := getattr(entry, name)) is not None}
    return line if entry.body is None else line | {"body": msgspec.Raw(entry.body.encode())}


def _command_line(place: Place, part: int, command: Command) -> Line:
    line: Line = {"epoch": place.epoch, "journal_id": place.journal_id, "at_ms": command.at_ms}
    line |= {"kind": "command", "part": part, "user": command.user or None, "type": command.type}
    return line | {"code": command.code, "took_ms": command.took_ms}
