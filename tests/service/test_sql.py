"""The schema and the rows."""

from __future__ import annotations

import contextlib

import msgspec
import pymysql
import pytest

from market import migrations
from market import sql as rows
from market.settings import Settings, SqlEndpoint

ROW = rows.Row(7, "1700000000000-3", "user-1", "key-1", "match-1", "winner", 2, 10**12)


def test_the_schema_is_made_once(mariadb: SqlEndpoint, sql: pymysql.cursors.Cursor) -> None:
    assert migrations.migrate(mariadb) == []
    sql.execute("SELECT number, name FROM schema_migrations ORDER BY number")
    assert list(sql.fetchall()) == [(step.number, step.name) for step in migrations.migrations()]


def test_the_steps_are_numbered_without_gaps() -> None:
    steps = migrations.migrations()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_a_schema_of_a_later_version_is_left_alone(mariadb: SqlEndpoint, sql: pymysql.cursors.Cursor) -> None:
    sql.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'later')")
    try:
        with pytest.raises(migrations.MigrationError, match="does not know; update it"):
            migrations.migrate(mariadb)
    finally:
        sql.execute("DELETE FROM schema_migrations WHERE number = 9999")


def test_a_migration_says_what_it_could_not_reach(mariadb: SqlEndpoint) -> None:
    with pytest.raises(migrations.MigrationError, match=r"127\.0\.0\.1:1:"):
        migrations.migrate(msgspec.structs.replace(mariadb, port=1))


def test_a_row_is_written_once(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        assert rows.insert(connection, [ROW]) == 1
        assert rows.insert(connection, [ROW, msgspec.structs.replace(ROW, epoch=8, key="key-2")]) == 1
        assert rows.repeated_keys(connection, [ROW]) == []
    sql.execute("SELECT * FROM predictions WHERE epoch = 7")
    assert sql.fetchall() == ((7, 1_700_000_000_000, 3, "user-1", "key-1", "match-1", "winner", 2, 10**12),)


def test_a_key_is_in_the_ledger_once(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    repeated = msgspec.structs.replace(ROW, epoch=8)
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        rows.insert(connection, [ROW])
        assert rows.insert(connection, [repeated]) == 0
        assert rows.repeated_keys(connection, [repeated]) == [repeated]


def test_names_are_compared_by_their_case(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        other = msgspec.structs.replace(ROW, epoch=8, key="KEY-1")
        assert rows.insert(connection, [ROW, other]) == 2


def test_a_row_that_is_missing_without_a_reason_is_an_error(
    settings: Settings, sql: pymysql.cursors.Cursor
) -> None:
    with (
        contextlib.closing(rows.connect(settings.sql_master)) as connection,
        pytest.raises(rows.LedgerError, match="7/1700000000000-3"),
    ):
        rows.repeated_keys(connection, [ROW])
