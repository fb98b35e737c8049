"""Real servers for the service's tests: Redis with a replica, MariaDB, and the service's own processes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import pytest
import redis

from market import migrations
from market.seed import seed
from market.settings import RedisEndpoint, Settings, SqlEndpoint
from market.tokens import Signer, load_signer

STARTUP_S = 30.0

Client = Any
"""A `redis.Redis`, whose annotations leave open what its methods return."""


def until(condition: Callable[[], object], what: str, timeout_s: float = STARTUP_S) -> None:
    """Wait for a condition that no event announces."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def toml(settings: Settings) -> str:
    """The settings as their file has them."""
    values = msgspec.to_builtins(settings)
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            given = {name: value for name, value in table.items() if value is not None}
            lines += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in given.items())]
    return "\n".join(lines)


def end(process: subprocess.Popen[Any], timeout_s: float = 15.0) -> int:
    """End a process that a test started, by force if need be; its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="market-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def password_file(directory: Path) -> Path:
    path = directory / "password"
    path.write_text(secrets.token_urlsafe(16) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def token_key_file(directory: Path) -> Path:
    path = directory / "token-key"
    path.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    return path


@dataclass
class RedisServer:
    """A Redis server that a test may stop and start again."""

    directory: Path
    password: str
    port: int = field(default_factory=free_port)
    replica_of: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.directory.mkdir(exist_ok=True)
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.directory,
            "save": "",
            "appendonly": "yes" if self.replica_of is None else "no",
            "requirepass": self.password,
            "masterauth": self.password,
            "repl-diskless-sync-delay": "0",
            "shutdown-timeout": "0",
        }
        argv = ["redis-server", *(word for k, v in options.items() for word in (f"--{k}", str(v)))]
        if self.replica_of is not None:
            argv += ["--replicaof", f"127.0.0.1 {self.replica_of}"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until(self.answers, "redis")

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)
            self.process = None

    def client(self) -> Client:
        return redis.Redis(host="127.0.0.1", port=self.port, password=self.password, protocol=2)

    def answers(self) -> bool:
        with contextlib.closing(self.client()) as client, contextlib.suppress(redis.RedisError):
            if self.replica_of is None:
                return bool(client.ping())
            info: Any = client.info("replication")
            return bool(info["master_link_status"] == "up")
        return False


@pytest.fixture(scope="session")
def master(directory: Path, password_file: Path) -> Iterator[RedisServer]:
    server = RedisServer(directory / "redis", password_file.read_text().strip())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def replica(directory: Path, master: RedisServer) -> Iterator[RedisServer]:
    server = RedisServer(directory / "redis-replica", master.password, replica_of=master.port)
    server.start()
    yield server
    server.stop()


@contextlib.contextmanager
def running_mariadb(directory: Path, password_file: Path, *options: str) -> Iterator[SqlEndpoint]:
    """A MariaDB with its accounts and the schema, as the account that owns it."""
    data = directory / "mariadb"
    data.mkdir()
    port, sock = free_port(), directory / "mariadb.sock"
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
         f"--tmpdir={directory}", "--auth-root-authentication-method=normal", *user],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with (directory / "mariadb.log").open("wb") as log:
        server = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={directory}", f"--socket={sock}",
             f"--port={port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=32M",
             "--innodb-log-file-size=16M", *options, *user],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:

        def greets() -> bool:
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(str(sock))
                return bool(probe.recv(1))
            return False

        until(greets, "mariadb")
        password = password_file.read_text().strip()
        with (
            contextlib.closing(pymysql.connect(unix_socket=str(sock), user="root", autocommit=True)) as root,
            root.cursor() as cursor,
        ):
            for database in ("market", "market_behind"):
                cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
            for account, rights in (
                ("market_migrate", "ALL"),
                ("market_ledger", "SELECT, INSERT"),
                ("test", "ALL"),
            ):
                cursor.execute("CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s", (account, password))
                for database in ("market", "market_behind"):
                    cursor.execute(f"GRANT {rights} ON {database}.* TO %s@'127.0.0.1'", (account,))
        endpoint = SqlEndpoint("127.0.0.1", port, "market_migrate", str(password_file))
        migrations.migrate(endpoint)
        migrations.migrate(msgspec.structs.replace(endpoint, database="market_behind"))
        yield endpoint
    finally:
        end(server)


@pytest.fixture(scope="session")
def mariadb(directory: Path, password_file: Path) -> Iterator[SqlEndpoint]:
    with running_mariadb(directory, password_file) as endpoint:
        yield endpoint


@pytest.fixture
def sql(mariadb: SqlEndpoint, password_file: Path) -> Iterator[pymysql.cursors.Cursor]:
    """A cursor that may do anything; SQL is empty, and so is `market_behind`, a database that lags."""
    connection = pymysql.connect(
        host=mariadb.host,
        port=mariadb.port,
        user="test",
        password=password_file.read_text().strip(),
        database="market",
        autocommit=True,
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        for database in ("market", "market_behind"):
            for table in ("predictions", "journal", "commands", "journal_positions"):
                cursor.execute(f"TRUNCATE {database}.{table}")
        yield cursor


@pytest.fixture
def settings(
    master: RedisServer, mariadb: SqlEndpoint, password_file: Path, token_key_file: Path
) -> Settings:
    """A process that reads from the master; tests change what they are about."""
    endpoint = RedisEndpoint("127.0.0.1", master.port, str(password_file))
    ledger = msgspec.structs.replace(mariadb, user="market_ledger")
    return Settings(
        region="eu-west-1",
        node="node-1",
        token_key_file=str(token_key_file),
        redis_master=endpoint,
        redis_read=endpoint,
        sql_master=ledger,
        sql_read=ledger,
        flush_interval_ms=300,
    )


@pytest.fixture
def market(settings: Settings, master: RedisServer) -> Iterator[Client]:
    """The Redis master with one open pool and a hundred users who have 1,000 each."""
    seed(settings, users=100, balance=1000)
    client = master.client()
    with contextlib.closing(client):
        yield client


@pytest.fixture
def signer(settings: Settings) -> Signer:
    return load_signer(settings.token_key_file)


@dataclass
class Command:
    """A process of the service, its log as it comes."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        self.lines.extend(self.process.stderr or ())

    def log(self) -> str:
        return "".join(self.lines)


Start = Callable[..., Command]


@contextlib.contextmanager
def starting(directory: Path) -> Iterator[Start]:
    """Start `market COMMAND …` with the given settings; every process is ended at the end."""
    commands: list[Command] = []

    def run(name: str, settings: Settings, *arguments: str) -> Command:
        file = directory / f"settings-{len(commands)}.toml"
        file.write_text(toml(settings), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "market.cli", name, "--settings", str(file), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        command = Command(process)
        commands.append(command)
        return command

    try:
        yield run
    finally:
        for command in commands:
            end(command.process)
        for command in commands:
            command.reader.join()
            for stream in (command.process.stdout, command.process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `market COMMAND …` with the given settings; every process is ended after the test."""
    with starting(tmp_path) as run:
        yield run


@dataclass
class Server:
    """A running API process and where it listens."""

    command: Command
    path: Path
    listen: str | None = None

    @property
    def pid(self) -> int:
        return self.command.process.pid

    def alive(self) -> bool:
        return self.command.process.poll() is None

    def connect(self) -> socket.socket:
        """A connection to it."""
        if self.listen is not None:
            host, _, port = self.listen.rpartition(":")
            return socket.create_connection((host, int(port)), timeout=10)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        try:
            client.connect(str(self.path))
        except OSError:
            client.close()
            raise
        return client

    def get(self, target: str) -> tuple[int, str]:
        """Ask by plain HTTP."""
        with self.connect() as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: market\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := client.recv(65536):
                answer += data
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/healthz") == (200, "ok")
        return False


Serve = Callable[..., Server]


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Serve:
    """Start an API process and wait until it can serve."""
    numbers = iter(range(1000))

    def run(settings: Settings, *, wait: bool = True, listen: str | None = None) -> Server:
        path = tmp_path / f"api-{next(numbers)}.sock"
        server = Server(start("api", settings, "--listen", listen or str(path)), path, listen)
        if wait:
            until(server.healthy, f"the api: {server.command.log()}")
        return server

    return run
