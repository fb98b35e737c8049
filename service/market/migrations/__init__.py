"""The SQL schema, step by step: `NNNN-name.sql` holds one statement, and never changes once released."""

from __future__ import annotations

import logging
from contextlib import closing
from importlib import resources
from typing import Final

import pymysql
from msgspec import Struct

from market import sql
from market.settings import MarketError, SqlEndpoint

_log = logging.getLogger(__name__)

LOCK: Final = "market-migrate"
LOCK_TIMEOUT_S: Final = 60


class MigrationError(MarketError):
    """The schema cannot be brought to this version; the message says why."""


class Migration(Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    statement: str


def migrations() -> list[Migration]:
    """The steps of this version, in order."""
    steps = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("-")
            steps.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(steps, key=lambda step: step.number)


def migrate(endpoint: SqlEndpoint) -> list[int]:
    """Bring the schema to this version; the numbers of the steps that were taken.

    Several may run at once: one does the work, the others wait for it.

    Raises:
        MigrationError: when the server cannot be reached or refuses, or the schema is of a later version.
    """
    try:
        with closing(sql.connect(endpoint)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, %s)", (LOCK, LOCK_TIMEOUT_S))
            if cursor.fetchone() != (1,):
                raise MigrationError("another migration has been running for a minute; try again after it")
            return _apply(cursor)
    except pymysql.MySQLError as error:
        raise MigrationError(f"{endpoint.host}:{endpoint.port}: {error}") from error


def _apply(cursor: pymysql.cursors.Cursor) -> list[int]:
    cursor.execute("SHOW TABLES LIKE 'schema_migrations'")
    if not cursor.fetchall():
        cursor.execute(
            "CREATE TABLE schema_migrations (number INT UNSIGNED PRIMARY KEY, name VARCHAR(100) NOT NULL,"
            " applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE = InnoDB"
        )
    cursor.execute("SELECT number, name FROM schema_migrations")
    applied = dict(cursor.fetchall())
    steps = migrations()
    unknown = applied.keys() - {step.number for step in steps}
    if unknown:
        raise MigrationError(
            f"the schema has steps {sorted(unknown)} that this version does not know; update it"
        )
    taken = []
    for step in steps:
        if step.number not in applied:
            cursor.execute(step.statement)
            cursor.execute(
                "INSERT INTO schema_migrations (number, name) VALUES (%s, %s)", (step.number, step.name)
            )
            _log.info("took step %04d-%s", step.number, step.name)
            taken.append(step.number)
    return taken
