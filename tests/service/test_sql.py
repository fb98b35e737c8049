"""The schema and the rows."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pymysql
import pytest

from lab import certificates
from lab.certificates import Certificates
from market import migrations
from market import sql as rows
from market.journal import Entry
from market.settings import Settings, SettingsError, SqlEndpoint
from market.sql_history import entry_of
from tests.service.conftest import end, free_port, until

ENTRY = Entry(
    *(7, "1700000000000-3", "prediction", "user-1", "key-1", "match-1", "winner", 2, 10**12),
    amount=-(10**12),
    balance=5,
)


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


def places(cursor: pymysql.cursors.Cursor, table: str) -> list[tuple[int, ...]]:
    cursor.execute(f"SELECT epoch, journal_ms, journal_seq FROM {table} ORDER BY 1, 2, 3")  # noqa: S608
    return list(cursor.fetchall())


def test_an_entry_is_written_once(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        assert rows.insert(connection, [ENTRY]) == []
        assert rows.insert(connection, [ENTRY, msgspec.structs.replace(ENTRY, epoch=8, key="key-2")]) == []
    sql.execute("SELECT * FROM predictions WHERE epoch = 7")
    assert sql.fetchall() == ((7, 1_700_000_000_000, 3, "user-1", "key-1", "match-1", "winner", 2, 10**12),)
    assert places(sql, "journal") == places(sql, "predictions")
    sql.execute("SELECT * FROM journal WHERE epoch = 7")
    assert sql.fetchall() == (
        (7, 1_700_000_000_000, 3, "prediction", "user-1", "key-1", "match-1", "winner", 2, 10**12, -(10**12),
         5, None),
    )  # fmt: skip


def test_every_field_comes_back_as_it_was(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    body = '{"text":"Ünïcode, \\"quotes\\" and \'more\' \\\\ 🎲","null":null}'
    entry = Entry(2**40, "9007199254740993-7", "event", None, None, "match-1", body=body)
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        rows.insert(connection, [entry])
    sql.execute("SELECT * FROM journal")
    assert [entry_of(row) for row in sql.fetchall()] == [entry]


def test_a_batch_of_commands_becomes_a_row_for_each(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    body = '[["user-1","list_games",0,1700000000001,2],["","authenticate",4010,1700000000002,0]]'
    entry = Entry(7, "1700000000000-4", "command", body=body)
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        rows.insert(connection, [entry])
        rows.insert(connection, [entry])
    sql.execute("SELECT * FROM commands ORDER BY part")
    assert sql.fetchall() == (
        (7, 1_700_000_000_000, 4, 0, "user-1", "list_games", 0, 1_700_000_000_001, 2),
        (7, 1_700_000_000_000, 4, 1, None, "authenticate", 4010, 1_700_000_000_002, 0),
    )
    assert places(sql, "journal") == []


def test_a_key_is_among_the_predictions_once(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    repeated = msgspec.structs.replace(ENTRY, epoch=8)
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        rows.insert(connection, [ENTRY])
        assert rows.insert(connection, [repeated]) == [repeated]
    assert places(sql, "predictions") == [ENTRY.place]
    assert places(sql, "journal") == [ENTRY.place, repeated.place]


def test_names_are_compared_by_their_case(settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    with contextlib.closing(rows.connect(settings.sql_master)) as connection:
        other = msgspec.structs.replace(ENTRY, epoch=8, key="KEY-1")
        assert rows.insert(connection, [ENTRY, other]) == []


def test_a_row_that_is_missing_without_a_reason_is_an_error(
    settings: Settings, sql: pymysql.cursors.Cursor
) -> None:
    wrong = msgspec.structs.replace(ENTRY, epoch=9, stake=-1)
    other = msgspec.structs.replace(ENTRY, epoch=8, key="key-2")
    with (
        contextlib.closing(rows.connect(settings.sql_master)) as connection,
        pytest.raises(rows.LedgerError, match="9/1700000000000-3"),
    ):
        rows.insert(connection, [other, wrong])
    assert places(sql, "journal") == places(sql, "predictions") == []


@pytest.fixture(scope="module")
def authority(directory: Path) -> Certificates:
    return certificates.create(directory / "tls", ["localhost"])


@pytest.fixture(scope="module")
def encrypted(directory: Path, password_file: Path, authority: Certificates) -> Iterator[SqlEndpoint]:
    """A server like those of RDS: it takes no connection without TLS, and is called `localhost`."""
    data, port = directory / "mariadb-tls", free_port()
    data.mkdir()
    accounts = directory / "mariadb-tls.sql"
    accounts.write_text(
        "CREATE DATABASE IF NOT EXISTS market;"
        f"\nCREATE USER reader@'127.0.0.1' IDENTIFIED BY '{password_file.read_text().strip()}';"
        "\nGRANT SELECT ON market.* TO reader@'127.0.0.1';\n"
    )
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--tmpdir={directory}",
         "--skip-test-db", *user],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with (directory / "mariadb-tls.log").open("wb") as log:
        server = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={directory}",
             f"--socket={data}/sock", f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
             f"--init-file={accounts}", f"--ssl-cert={authority.certificate}",
             f"--ssl-key={authority.certificate_key}",
             "--require-secure-transport=ON", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
             *user],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    endpoint = SqlEndpoint("localhost", port, "reader", str(password_file), ca_file=str(authority.ca_file))
    try:

        def takes() -> bool:
            with contextlib.suppress(pymysql.MySQLError):
                rows.connect(endpoint).close()
                return True
            return False

        until(takes, "mariadb with TLS")
        yield endpoint
    finally:
        end(server)


def test_with_an_authority_a_connection_is_encrypted(encrypted: SqlEndpoint) -> None:
    with contextlib.closing(rows.connect(encrypted)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        assert str(cursor.fetchone()[1]).startswith("TLSv1")


def test_a_server_of_another_authority_is_not_trusted(encrypted: SqlEndpoint, tmp_path: Path) -> None:
    other = certificates.create(tmp_path / "other", ["localhost"])
    stranger = msgspec.structs.replace(encrypted, ca_file=str(other.ca_file))
    with pytest.raises(pymysql.MySQLError, match="CERTIFICATE_VERIFY_FAILED"):
        rows.connect(stranger)


def test_a_server_of_another_name_is_not_trusted(encrypted: SqlEndpoint) -> None:
    with pytest.raises(pymysql.MySQLError, match="CERTIFICATE_VERIFY_FAILED"):
        rows.connect(msgspec.structs.replace(encrypted, host="127.0.0.1"))


def test_a_server_without_tls_is_not_spoken_to_where_an_authority_is_named(
    mariadb: SqlEndpoint, authority: Certificates
) -> None:
    with pytest.raises(pymysql.MySQLError, match="SSL"):
        rows.connect(msgspec.structs.replace(mariadb, ca_file=str(authority.ca_file)))


@pytest.mark.parametrize("content", [None, "no PEM"])
def test_authorities_that_cannot_be_read_are_named(
    mariadb: SqlEndpoint, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="cannot use the authorities in"):
        rows.connect(msgspec.structs.replace(mariadb, ca_file=str(path)))
