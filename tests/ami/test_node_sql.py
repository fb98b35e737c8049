"""The rendered MariaDB of a node under the real program, and the accounts of a server that is not its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pymysql
import pytest

from ami import render
from ami.node import paths, sql_accounts
from ami.node.certificates import self_signed
from ami.node.configure import configure
from ami.node.document import Endpoint
from ami.node.plan import SqlAccount, SqlAccounts
from ami.node.sql_accounts import SqlAccountError
from lab.requirements import program
from lab.waiting import until
from tests.ami.node_fakes import document, machine, secrets

LEDGER = SqlAccount("elsewhere_ledger", "a 'quoted' password", "SELECT, INSERT")


@dataclass(frozen=True)
class Server:
    """A MariaDB that runs with the accounts that a baseline node makes."""

    port: int

    def connect(self, user: str, password: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, database="market", autocommit=True
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="isochrone-node-sql-"))
    home.chmod(0o755)
    data = home / "data"
    data.mkdir()
    user = "root" if os.geteuid() == 0 else "mysql"
    subprocess.run(
        [program("mariadb-install-db"), "--no-defaults", f"--user={user}", f"--datadir={data}",
         f"--tmpdir={home}", "--skip-test-db", "--auth-root-authentication-method=socket"],
        check=True, capture_output=True, timeout=50,
    )  # fmt: skip
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    plan = configure(document("baseline", "node"), secrets(), machine(), None)
    accounts = home / "accounts.sql"
    accounts.write_text(next(f.text for f in plan.files if f.path == paths.MARIADB_ACCOUNTS))
    config = render.Mariadb(
        bind=("127.0.0.1",),
        socket=home / "mariadb.sock",
        directory=data,
        pid_file=home / "pid",
        server_id=77,
        buffer_pool_mib=64,
        log_file_mib=16,
        log_bin=True,
        init_file=accounts,
        temporary=home,
        user=user,
        port=port,
    )
    path = home / "mariadb.cnf"
    path.write_text(config.render())
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([program("mariadbd"), f"--defaults-file={path}"], stdout=log, stderr=log)
    made = Server(port)
    try:

        def answers() -> bool:
            try:
                made.connect("market_reader", "reader-secret").close()
            except pymysql.MySQLError as error:
                raise ConnectionError(str(error)) from error
            return True

        until("MariaDB", answers, timeout_s=40, process=process, log=home / "log")
        yield made
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(home)


def refused(server: Server, user: str, password: str, statement: str) -> bool:
    with closing(server.connect(user, password)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except pymysql.MySQLError:
            return True
        return False


def test_a_nodes_accounts_may_do_what_they_are_for_and_no_more(server: Server) -> None:
    admin, ledger, reader = (
        ("market_migrate", "admin-secret"),
        ("market_ledger", "ledger-secret"),
        ("market_reader", "reader-secret"),
    )
    assert not refused(server, *admin, "CREATE TABLE IF NOT EXISTS t (a INT)")
    assert not refused(server, *ledger, "INSERT INTO t VALUES (1)")
    assert refused(server, *ledger, "DELETE FROM t")
    assert not refused(server, *reader, "SELECT * FROM t")
    assert refused(server, *reader, "INSERT INTO t VALUES (2)")
    assert refused(server, *admin, "CREATE USER other")


@pytest.fixture
def elsewhere(server: Server) -> Iterator[SqlAccounts]:
    """The same server as one that is AWS's: with an administrator who may make accounts."""
    socket_path = _socket(server)
    with closing(pymysql.connect(unix_socket=socket_path, user="root", autocommit=True)) as root:
        with root.cursor() as cursor:
            cursor.execute("CREATE USER IF NOT EXISTS owner@'%' IDENTIFIED BY 'owner-secret'")
            cursor.execute("GRANT ALL ON *.* TO owner@'%' WITH GRANT OPTION")
        admin = SqlAccount("owner", "owner-secret", "ALL PRIVILEGES")
        yield SqlAccounts(Endpoint("127.0.0.1", server.port), admin, (LEDGER,))


def _socket(server: Server) -> str:
    with (
        closing(server.connect("market_reader", "reader-secret")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT @@socket")
        row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def test_accounts_elsewhere_are_made_and_get_a_new_password(server: Server, elsewhere: SqlAccounts) -> None:
    sql_accounts.make(elsewhere, None)
    sql_accounts.make(elsewhere, None)
    assert not refused(server, LEDGER.name, LEDGER.password, "SELECT 1")
    changed = replace(LEDGER, password="another")
    sql_accounts.make(replace(elsewhere, others=(changed,)), None)
    assert not refused(server, LEDGER.name, "another", "SELECT 1")
    with pytest.raises(pymysql.MySQLError):
        server.connect(LEDGER.name, LEDGER.password)


def test_a_server_that_refuses_is_named_without_a_password(elsewhere: SqlAccounts) -> None:
    wrong = replace(elsewhere, admin=replace(elsewhere.admin, password="not-this-one"))
    with pytest.raises(SqlAccountError, match=r"could not be made at 127\.0\.0\.1:") as error:
        sql_accounts.make(wrong, None)
    assert "not-this-one" not in str(error.value)


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_asked_for(
    elsewhere: SqlAccounts, tmp_path: Path
) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(self_signed(("sql.example",)).chain)
    with pytest.raises(SqlAccountError):
        sql_accounts.make(elsewhere, authorities)
