"""The rows of the ledger in SQL."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Annotated, Any, Final

import pymysql
from msgspec import Meta, Struct
from pymysql.connections import Connection

from market.protocol import Name, OptionIndex, Stake
from market.settings import MarketError, SettingsError, SqlEndpoint, read_secret

CONNECT_TIMEOUT_S: Final = 5
REPLY_TIMEOUT_S: Final = 30


class LedgerError(MarketError):
    """A row could not be written, and it is not there already."""


class Row(Struct, frozen=True):
    """One prediction as the ledger keeps it; (`epoch`, `journal_id`) is its place in the journal."""

    epoch: Annotated[int, Meta(ge=0)]
    journal_id: Annotated[str, Meta(pattern=r"^[0-9]+-[0-9]+\Z")]
    user: Name
    key: Name
    game: Name
    pool: Name
    option: OptionIndex
    stake: Stake

    @property
    def place(self) -> tuple[int, int, int]:
        """The primary key."""
        time_ms, _, sequence = self.journal_id.partition("-")
        return self.epoch, int(time_ms), int(sequence)


_INSERT: Final = (
    "INSERT IGNORE INTO predictions"
    " (epoch, journal_ms, journal_seq, user, idempotency_key, game, pool, option_index, stake) VALUES "
)
_VALUES: Final = "(%s, %s, %s, %s, %s, %s, %s, %s, %s)"


def connect(endpoint: SqlEndpoint, **options: Any) -> Connection[Any]:
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
        read_timeout=REPLY_TIMEOUT_S,
        write_timeout=REPLY_TIMEOUT_S,
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


def insert(connection: Connection[Any], rows: Sequence[Row]) -> int:
    """Write rows in one statement, which leaves out those that are there already; how many were new."""
    if not rows:
        return 0
    values: list[object] = []
    for row in rows:
        values += (*row.place, row.user, row.key, row.game, row.pool, row.option, row.stake)
    with connection.cursor() as cursor:
        return int(cursor.execute(_INSERT + ", ".join([_VALUES] * len(rows)), values))


def repeated_keys(connection: Connection[Any], rows: Sequence[Row]) -> list[Row]:
    """Those of the rows that are not in the ledger because their (user, key) stands there at another place.

    Raises:
        LedgerError: when a row is missing for any other reason; nothing may be acknowledged then.
    """
    places, keys = [row.place for row in rows], [(row.user, row.key) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT epoch, journal_ms, journal_seq FROM predictions"
            " WHERE (epoch, journal_ms, journal_seq) IN %s",
            (places,),
        )
        there = set(cursor.fetchall())
        absent = [row for row, place in zip(rows, places, strict=True) if place not in there]
        if not absent:
            return []
        cursor.execute(
            "SELECT user, idempotency_key FROM predictions WHERE (user, idempotency_key) IN %s",
            (keys,),
        )
        known = set(cursor.fetchall())
    for row in absent:
        if (row.user, row.key) not in known:
            raise LedgerError(
                f"the ledger does not take journal entry {row.epoch}/{row.journal_id}; see SQL's log"
            )
    return absent
