"""SQL: connections, and the rows that the ledger writes.

A batch goes over as one JSON document, from which the server makes the rows of each table: the statement has
one parameter however many rows there are.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import pymysql
from pymysql.connections import Connection

from market.journal import Command, Entry, Place, commands_of
from market.settings import MarketError, SettingsError, SqlEndpoint, read_secret

CONNECT_TIMEOUT_S: Final = 5
REPLY_TIMEOUT_S: Final = 30

_encode: Final = msgspec.json.Encoder().encode

_PLACE: Final = (
    "epoch BIGINT UNSIGNED PATH '$[0]', journal_ms BIGINT UNSIGNED PATH '$[1]',"
    " journal_seq BIGINT UNSIGNED PATH '$[2]'"
)
_JOURNAL: Final = f"""
    INSERT IGNORE INTO journal (epoch, journal_ms, journal_seq, kind, user, idempotency_key, game, pool,
        option_index, stake, amount, balance, body)
    SELECT * FROM JSON_TABLE(%s, '$[*]' COLUMNS ({_PLACE}, kind VARCHAR(32) PATH '$[3]',
        user VARCHAR(64) PATH '$[4]', idempotency_key VARCHAR(64) PATH '$[5]', game VARCHAR(64) PATH '$[6]',
        pool VARCHAR(64) PATH '$[7]', option_index TINYINT UNSIGNED PATH '$[8]', stake BIGINT PATH '$[9]',
        amount BIGINT PATH '$[10]', balance BIGINT PATH '$[11]', body MEDIUMTEXT PATH '$[12]')) AS entries"""  # noqa: S608  # of constants only
_PREDICTIONS: Final = f"""
    INSERT IGNORE INTO predictions (epoch, journal_ms, journal_seq, user, idempotency_key, game, pool,
        option_index, stake)
    SELECT * FROM JSON_TABLE(%s, '$[*]' COLUMNS ({_PLACE}, user VARCHAR(64) PATH '$[4]',
        idempotency_key VARCHAR(64) PATH '$[5]', game VARCHAR(64) PATH '$[6]', pool VARCHAR(64) PATH '$[7]',
        option_index TINYINT UNSIGNED PATH '$[8]', stake BIGINT PATH '$[9]')) AS entries"""  # noqa: S608  # of constants only
_COMMANDS: Final = f"""
    INSERT IGNORE INTO commands (epoch, journal_ms, journal_seq, part, user, type, code, at_ms, took_ms)
    SELECT * FROM JSON_TABLE(%s, '$[*]' COLUMNS ({_PLACE}, part SMALLINT UNSIGNED PATH '$[3]',
        user VARCHAR(64) PATH '$[4]', type VARCHAR(32) PATH '$[5]', code SMALLINT UNSIGNED PATH '$[6]',
        at_ms BIGINT UNSIGNED PATH '$[7]', took_ms INT UNSIGNED PATH '$[8]')) AS entries"""  # noqa: S608  # of constants only
_PLACES: Final = f"""
    SELECT entries.* FROM JSON_TABLE(%s, '$[*]' COLUMNS ({_PLACE})) AS entries
    JOIN {{table}} USING (epoch, journal_ms, journal_seq)"""  # noqa: S608  # of constants only


class LedgerError(MarketError):
    """A row could not be written, and it is not there already."""


def connect(
    endpoint: SqlEndpoint, *, reply_timeout_s: float = REPLY_TIMEOUT_S, **options: Any
) -> Connection[Any]:
    """A connection that commits every statement; raises `pymysql.MySQLError`, or `SettingsError`."""
    if endpoint.ca_file is not None:
        options["ssl"] = _tls(endpoint.ca_file)
    return pymysql.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=read_secret(endpoint.password_file),
        database=endpoint.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=reply_timeout_s,
        write_timeout=reply_timeout_s,
        **options,
    )


def _tls(ca_file: str) -> ssl.SSLContext:
    """What takes a server of the right name only, with a certificate of an authority in the file."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SettingsError(
            f"cannot use the authorities in {ca_file}: {error.strerror or error}; put SQL's there as PEM"
        ) from error


def insert(connection: Connection[Any], entries: Sequence[Entry]) -> list[Entry]:
    """Write entries to their tables in one transaction, leaving out what is there already.

    Returns:
        The predictions that SQL does not take because their (user, key) stands there at another place.

    Raises:
        LedgerError: when a row is missing for any other reason; nothing was written then.
    """
    commands = [entry for entry in entries if entry.kind == "command"]
    others = [entry for entry in entries if entry.kind != "command"]
    predictions = [entry for entry in others if entry.kind == "prediction"]
    connection.begin()
    try:
        with connection.cursor() as cursor:
            if _insert(cursor, _JOURNAL, map(_row, others)) < len(others):
                _none_absent(_absent(cursor, "journal", others))
            repeated = []
            if _insert(cursor, _PREDICTIONS, map(_row, predictions)) < len(predictions):
                repeated = _repeated(cursor, predictions)
            rows = [
                (*entry.place, part, *_command(command))
                for entry in commands
                for part, command in enumerate(commands_of(entry))
            ]
            if _insert(cursor, _COMMANDS, rows) < len(rows):
                _none_absent(_absent(cursor, "commands", commands))
        connection.commit()
    except BaseException:
        if connection.open:
            connection.rollback()
        raise
    return repeated


def insert_prediction(connection: Connection[Any], entry: Entry) -> None:
    """Write one prediction to its table, unless it is there already."""
    with connection.cursor() as cursor:
        _insert(cursor, _PREDICTIONS, [_row(entry)])


def insert_position(connection: Connection[Any], place: Place) -> None:
    """Note that every row before a place is there."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT IGNORE INTO journal_positions VALUES (%s, %s, %s)", place)


def _insert(cursor: pymysql.cursors.Cursor, statement: str, rows: Iterable[tuple[object, ...]]) -> int:
    document = list(rows)
    return int(cursor.execute(statement, (_encode(document).decode(),))) if document else 0


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        *(*entry.place, entry.kind, entry.user, entry.key, entry.game, entry.pool, entry.option, entry.stake),
        *(entry.amount, entry.balance, entry.body),
    )


def _command(command: Command) -> tuple[object, ...]:
    return command.user or None, command.type, command.code, command.at_ms, command.took_ms


def _absent(cursor: pymysql.cursors.Cursor, table: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those of the entries that a table does not have."""
    places = _encode([entry.place for entry in entries]).decode()
    cursor.execute(_PLACES.format(table=table), (places,))
    there = set(cursor.fetchall())
    return [entry for entry in entries if entry.place not in there]


def _none_absent(entries: Sequence[Entry]) -> None:
    if entries:
        raise LedgerError(
            f"SQL does not take journal entry {entries[0].epoch}/{entries[0].journal_id}; see its log"
        )


def _repeated(cursor: pymysql.cursors.Cursor, predictions: Sequence[Entry]) -> list[Entry]:
    absent = _absent(cursor, "predictions", predictions)
    if absent:
        cursor.execute(
            "SELECT user, idempotency_key FROM predictions WHERE (user, idempotency_key) IN %s",
            ([(entry.user, entry.key) for entry in absent],),
        )
        known = set(cursor.fetchall())
        _none_absent([entry for entry in absent if (entry.user, entry.key) not in known])
    return absent
