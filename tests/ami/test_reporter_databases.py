"""Redis and SQL figures, from real servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from ami.node.document import Endpoint
from ami.node.reporter.collectors import redis_server, sql_server
from ami.node.reporter.collectors.redis_server import LedgerBacklog, RedisServer
from ami.node.reporter.collectors.sql_server import SqlServer
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Collector, Figure, Snapshot
from market import keys
from tests.service import conftest as servers
from tests.service.conftest import until

PASSWORD = "a-password"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="reporter-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def password_file(directory: Path) -> Path:
    path = directory / "password"
    path.write_text(PASSWORD + "\n")
    return path


@pytest.fixture(scope="module")
def master(directory: Path) -> Iterator[servers.RedisServer]:
    server = servers.RedisServer(directory / "master", PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def replica(directory: Path, master: servers.RedisServer) -> Iterator[servers.RedisServer]:
    server = servers.RedisServer(directory / "replica", PASSWORD, replica_of=master.port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(master: servers.RedisServer) -> Iterator[Any]:
    with contextlib.closing(master.client()) as client:
        client.flushall()
        yield client


def at(server: servers.RedisServer) -> Endpoint:
    return Endpoint("127.0.0.1", server.port)


def measured(collector: Collector) -> Snapshot:
    return Snapshot(0, tuple(collector.collect()))


def backlog(server: servers.RedisServer, password_file: Path) -> float | None:
    return measured(LedgerBacklog((at(server),), password_file)).value(redis_server.LEDGER_BACKLOG)


def test_a_master_and_its_replica(
    master: servers.RedisServer, replica: servers.RedisServer, client: Any, password_file: Path
) -> None:
    client.set("here", "1")
    client.get("here")
    client.get("not here")
    client.xadd(keys.JOURNAL, {"a": "b"})
    client.wait(1, 5000)

    def caught_up() -> bool:
        behind = measured(RedisServer(at(master), password_file)).series(redis_server.REPLICA_BEHIND.name)
        return list(behind.values()) == [0]

    until(caught_up, "the replica")
    now = measured(RedisServer(at(master), password_file))
    assert now.value(redis_server.IS_MASTER) == 1
    assert now.value(redis_server.LINK_UP) is None
    assert now.value(redis_server.INFO["connected_slaves"]) == 1
    assert now.value(redis_server.INFO["used_memory"])
    assert now.value(redis_server.INFO["total_commands_processed"])
    assert now.value(redis_server.INFO["keyspace_misses"])
    assert now.value(redis_server.JOURNAL_LENGTH) == 1
    assert now.series(redis_server.REPLICA_OFFSET.name).keys() == {(f"127.0.0.1:{replica.port}",)}
    there = measured(RedisServer(at(replica), password_file))
    assert there.value(redis_server.IS_MASTER) == 0
    assert there.value(redis_server.LINK_UP) == 1
    assert there.value(redis_server.JOURNAL_LENGTH) == 1
    assert there.value(redis_server.INFO["slave_repl_offset"])


def test_without_a_journal_nothing_waits(
    master: servers.RedisServer, client: Any, password_file: Path
) -> None:
    assert backlog(master, password_file) == 0


def test_without_a_ledger_everything_waits(
    master: servers.RedisServer, client: Any, password_file: Path
) -> None:
    for _ in range(3):
        client.xadd(keys.JOURNAL, {"a": "b"})
    assert backlog(master, password_file) == 3


def test_what_is_read_and_not_acknowledged_waits_too(
    master: servers.RedisServer, client: Any, password_file: Path
) -> None:
    for _ in range(10):
        client.xadd(keys.JOURNAL, {"a": "b"})
    client.xgroup_create(keys.JOURNAL, "another", id="$")
    client.xgroup_create(keys.JOURNAL, keys.LEDGER_GROUP, id="0")
    assert backlog(master, password_file) == 10
    [(_, entries)] = client.xreadgroup(keys.LEDGER_GROUP, "one", {keys.JOURNAL: ">"}, count=6)
    assert backlog(master, password_file) == 10
    client.xack(keys.JOURNAL, keys.LEDGER_GROUP, *(entry_id for entry_id, _ in entries[:5]))
    assert backlog(master, password_file) == 5
    client.xtrim(keys.JOURNAL, maxlen=5, approximate=False)
    assert backlog(master, password_file) == 5


def test_a_backlog_that_redis_does_not_know_is_absent() -> None:
    group = {"name": b"ledger", "pending": 1, "lag": None}
    assert redis_server.backlog([group], 10) is None


def test_a_redis_that_is_away_is_said(directory: Path, password_file: Path) -> None:
    away = Endpoint("127.0.0.1", servers.free_port())
    for collector in (RedisServer(away, password_file), LedgerBacklog((away,), password_file)):
        with pytest.raises(MeasuringError, match="Redis does not answer"):
            list(collector.collect())


def test_a_password_that_is_wrong_or_missing_is_said(master: servers.RedisServer, directory: Path) -> None:
    wrong = directory / "wrong"
    wrong.write_text("other")
    with pytest.raises(MeasuringError, match="Redis"):
        list(RedisServer(at(master), wrong).collect())
    wrong.write_text("\n")
    with pytest.raises(MeasuringError, match="is empty"):
        list(RedisServer(at(master), wrong).collect())
    with pytest.raises(MeasuringError, match="cannot read the secret"):
        list(RedisServer(at(master), directory / "none").collect())


@pytest.fixture(scope="module")
def mariadb(directory: Path) -> Iterator[Endpoint]:
    data, sock, port = directory / "mariadb", directory / "mariadb.sock", servers.free_port()
    data.mkdir()
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
               f"--tmpdir={directory}", "--auth-root-authentication-method=normal", *user]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True)
    argv = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={directory}", f"--socket={sock}",
            f"--port={port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M", *user]  # fmt: skip
    with (directory / "mariadb.log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        until(sock.exists, "mariadb")
        root = pymysql.connect(unix_socket=str(sock), user="root")
        with contextlib.closing(root), root.cursor() as cursor:
            cursor.execute(f"CREATE USER market_reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"CREATE USER monitor@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT SLAVE MONITOR ON *.* TO monitor@'127.0.0.1'")
        yield Endpoint("127.0.0.1", port)
    finally:
        servers.end(server)


@pytest.mark.parametrize("user", ["market_reader", "monitor"])
def test_a_sql_server(mariadb: Endpoint, password_file: Path, user: str) -> None:
    now = measured(SqlServer(mariadb, user, password_file))
    assert now.value(sql_server.STATUS["Threads_connected"]) == 1
    assert now.value(sql_server.STATUS["Queries"])
    assert {figure.metric for figure in now.figures} == set(sql_server.STATUS.values())


def test_a_sql_server_that_is_away_or_refuses_is_said(mariadb: Endpoint, password_file: Path) -> None:
    away = Endpoint("127.0.0.1", servers.free_port())
    for collector in (
        SqlServer(away, "market_reader", password_file),
        SqlServer(mariadb, "nobody", password_file),
    ):
        with pytest.raises(MeasuringError, match="the SQL server does not answer"):
            list(collector.collect())


@pytest.mark.parametrize(
    ("status", "figures"),
    [
        (None, []),
        (("Yes", "Yes", 3), [Figure(sql_server.REPLICA_RUNS, 1), Figure(sql_server.REPLICA_LAG, 3)]),
        (("Yes", "No", None), [Figure(sql_server.REPLICA_RUNS, 0)]),
        (("Connecting", "Yes", None), [Figure(sql_server.REPLICA_RUNS, 0)]),
    ],
)
def test_a_replica_that_does_not_know_how_late_it_is_has_no_lag(
    status: tuple[str, str, int | None] | None, figures: list[Figure]
) -> None:
    names = ("Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master")
    row = None if status is None else dict(zip(names, status, strict=True))
    assert list(sql_server.replica_figures(row)) == figures
