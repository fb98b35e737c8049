"""The servers elsewhere that a role needs: real ones, at the addresses that the stack gives them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymysql
import redis

from ami import render
from infra.boot import redis_hosts
from infra.secret_names import SQL_USERS
from lab.requirements import program
from lab.waiting import until
from tests.image import cloud, names, network
from tests.image.cloud import Stack
from tests.image.guest import WITH_US

HERE: Final = "127.0.0.1"
RIGHTS: Final = {"sql-ledger": "SELECT, INSERT", "sql-reader": "SELECT"}
START_S: Final = 60.0
LOG_FILE_MIB: Final = 16

FILES: Final = {names.FILE: names.SETTINGS}
"""What a guest gets besides, so that it finds them by name."""


def authorities(stack: Stack) -> dict[str, str]:
    """The file of the authorities of AWS's SQL servers, which a machine else fetches from AWS."""
    return {"/etc/ssl/certs/rds-global-bundle.pem": stack.authority.pem}


@dataclass(frozen=True)
class Peers:
    """A Redis master and a SQL server; `directory` is where they and the test's own processes are."""

    stack: Stack
    directory: Path
    redis_host: str

    def redis(self) -> Any:
        """A client of the master, to be closed."""
        password = self.stack.values["redis-password"]
        return redis.Redis(host=self.redis_host, password=password, protocol=2)

    def sql(self) -> Any:
        """A connection to the SQL server as its administrator, to be closed."""
        return pymysql.connect(
            unix_socket=str(self.directory / "mariadb.sock"), user="root", database="market", autocommit=True
        )

    def market(self, command: str, *arguments: str) -> str:
        """What a command of the service writes that is run here, with the servers' administrator's rights."""
        words = [*command.split(), "--settings", str(self.settings), *arguments]
        argv = [sys.executable, "-m", "market.cli", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    @property
    def settings(self) -> Path:
        """The settings of a process of the service that runs here."""
        return self.directory / "settings.toml"

    def predictions(self) -> int:
        """How many predictions the master has."""
        sums = json.loads(self.market("dump").splitlines()[0])
        return sum(int(pool["predictions"]) for pool in sums["pools"].values())

    def rows(self) -> int:
        """How many predictions are in SQL."""
        with closing(self.sql()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM predictions")
            return int(cursor.fetchone()[0])


@contextmanager
def serving(stack: Stack, directory: Path, *, schema: bool) -> Iterator[Peers]:
    """The peers of a machine, until the end; the SQL server has accounts and tables when `schema` says so."""
    directory.chmod(0o755)
    peers = Peers(stack, directory, redis_hosts(stack.site)[0])
    network.add_address(peers.redis_host)
    _write_settings(peers)
    with names.serving(), _redis(peers), _mariadb(peers, schema):
        if schema:
            peers.market("migrate")
            peers.market("seed", "--users", "10", "--balance", "1000000")
        yield peers


def _write_settings(peers: Peers) -> None:
    files = {key: peers.directory / key for key in peers.stack.values}
    for key, path in files.items():
        path.write_text(peers.stack.values[key])
    authority = peers.directory / "authority.pem"
    authority.write_text(peers.stack.authority.pem)
    live = render.RedisEndpoint(host=peers.redis_host, password_file=files["redis-password"])
    history = render.SqlEndpoint(
        host=HERE, user=SQL_USERS["sql-admin"], password_file=files["sql-admin"], ca_file=authority
    )
    peers.settings.write_text(
        render.Market(
            region=peers.stack.site.home,
            node="test",
            token_key_file=files["token-key"],
            redis_master=live,
            redis_read=live,
            sql_master=history,
            sql_read=history,
        ).render()
    )


@contextmanager
def _redis(peers: Peers) -> Iterator[None]:
    data = peers.directory / "redis"
    data.mkdir()
    config = peers.directory / "redis.conf"
    config.write_text(
        render.Redis(
            bind=(peers.redis_host,),
            announce=peers.redis_host,
            socket=peers.directory / "redis.sock",
            directory=data,
            password=peers.stack.values["redis-password"],
            max_memory_mib=256,
            sync_delay_s=0,
        ).render()
    )

    def ready() -> bool | None:
        with closing(peers.redis()) as client, contextlib.suppress(redis.RedisError):
            return True if client.ping() else None
        return None

    with _running([program("redis-server"), str(config)], peers.directory / "redis.log", ready):
        yield


@contextmanager
def _mariadb(peers: Peers, schema: bool) -> Iterator[None]:
    """A server as AWS's is: TLS only, with an administrator who may make accounts."""
    home, stack = peers.directory, peers.stack
    data = home / "mariadb"
    made = subprocess.run(
        [program("mariadb-install-db"), "--no-defaults", "--user=root", f"--datadir={data}",
         f"--tmpdir={home}", "--skip-test-db", "--auth-root-authentication-method=socket",
         f"--innodb-log-file-size={LOG_FILE_MIB}M"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    tls, accounts, config = home / "tls.pem", home / "accounts.sql", home / "mariadb.cnf"
    hosts = tuple(cloud.sql_host(region) for region in stack.site.regions)
    tls.write_text(stack.authority.issue(hosts, (HERE,)))
    accounts.write_text("\n".join(_accounts(stack, schema)) + "\n")
    settings = render.Mariadb(
        bind=(HERE,),
        socket=home / "mariadb.sock",
        directory=data,
        pid_file=home / "mariadb.pid",
        server_id=1,
        buffer_pool_mib=64,
        log_file_mib=LOG_FILE_MIB,
        log_bin=False,
        init_file=accounts,
        temporary=home,
        user="root",
    )
    config.write_text(
        f"{settings.render()}ssl_cert = {tls}\nssl_key = {tls}\nrequire_secure_transport = ON\n"
    )

    def ready() -> bool | None:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(settings.socket))
            return True if probe.recv(1) else None

    argv = [program("mariadbd"), f"--defaults-file={config}"]
    with _running(argv, home / "mariadb.log", ready):
        yield


def _accounts(stack: Stack, schema: bool) -> Iterator[str]:
    yield "CREATE DATABASE IF NOT EXISTS market CHARACTER SET utf8mb4;"
    admin = SQL_USERS["sql-admin"]
    yield f"CREATE USER '{admin}'@'%' IDENTIFIED BY '{stack.values['sql-admin']}';"
    yield f"GRANT ALL PRIVILEGES ON *.* TO '{admin}'@'%' WITH GRANT OPTION;"
    if schema:
        for key, rights in RIGHTS.items():
            user = {str(k): v for k, v in SQL_USERS.items()}[key]
            yield f"CREATE USER '{user}'@'%' IDENTIFIED BY '{stack.values[key]}';"
            yield f"GRANT {rights} ON market.* TO '{user}'@'%';"


@contextmanager
def _running(argv: list[str], log: Path, ready: Callable[[], bool | None]) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen([*WITH_US, *argv], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        until(Path(argv[0]).name, ready, timeout_s=START_S, process=process, log=log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def api(peers: Peers) -> Iterator[Path]:
    """An API process that runs here, for a test of what is behind it; the path of its socket."""
    path = peers.directory / "api.sock"

    def ready() -> bool | None:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(path))
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: market\r\n\r\n")
            return True if b" 200 " in probe.recv(256) else None

    argv = [
        sys.executable,
        "-m",
        "market.cli",
        "api",
        "--settings",
        str(peers.settings),
        "--listen",
        str(path),
    ]
    with _running(argv, peers.directory / "api.log", ready):
        yield path


def closed(port: int) -> bool:
    """Whether nothing of a guest answers at a forwarded port.

    The forwarding itself accepts, and ends the connection when the guest refuses it; what listens in the
    guest waits for the client to begin.
    """
    try:
        with socket.create_connection((HERE, port), timeout=5) as connection:
            return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
