"""The rendered files under the programs that they are for."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

import pytest
import redis
from websockets.asyncio.client import connect
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, unix_serve

from ami import render
from lab import certificates
from lab.certificates import Certificates
from lab.requirements import program
from lab.waiting import until

NAME = "play.market.example"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """A directory that the servers' own users can reach; pytest's are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="isochrone-ami-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(ADDRESS_OF[connection.id] if message == "address?" else message)


ADDRESS_OF: dict[UUID, str] = {}
"""Where nginx says that a connection comes from."""


def health(connection: ServerConnection, request: Request) -> Response | None:
    ADDRESS_OF[connection.id] = " ".join(request.headers.get_all("X-Real-IP"))
    return connection.respond(HTTPStatus.OK, "ok") if request.path == "/healthz" else None


class Node:
    """A running nginx in front of one API process that echoes."""

    def __init__(self, tls: Certificates, https_port: int, http_port: int) -> None:
        self.tls, self.https_port, self.http_port = tls, https_port, http_port

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.tls.ca_file))

    def user(self, headers: Sequence[tuple[str, str]] = ()) -> connect:
        """A user's connection.

        In `websockets`' threaded client one thread may send while the other takes the tickets of the TLS
        session, and then both wait for ever: hence the one of asyncio.
        """
        return connect(
            f"wss://{NAME}/ws",
            host="127.0.0.1",
            port=self.https_port,
            ssl=self.trust(),
            proxy=None,
            additional_headers=headers,
        )

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.https_port), timeout=10)

    def listens(self) -> bool:
        with self.raw():
            return True

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(NAME, timeout=10)
        connection.sock = self.trust().wrap_socket(self.raw(), server_hostname=NAME)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            response.read()
            return response


@contextmanager
def running(directory: Path, upstreams: list[Path]) -> Iterator[Node]:
    """nginx with the image's configuration, whose processes need not be there."""
    directory.mkdir()
    node = Node(certificates.create(directory / "tls", [NAME]), free_port(), free_port())
    config = render.Nginx(
        server_names=(NAME,),
        address="127.0.0.1",
        upstreams=upstreams,
        certificate=node.tls.certificate,
        certificate_key=node.tls.certificate_key,
        directory=directory,
        error_log=directory / "error.log",
        worker_processes=2,
        worker_connections=256,
        http_port=node.http_port,
        https_port=node.https_port,
    )
    path = directory / "nginx.conf"
    path.write_text(config.render())
    process = subprocess.Popen([program("nginx"), "-e", directory / "error.log", "-c", path])
    try:
        until("nginx", node.listens, timeout_s=20, process=process, log=directory / "error.log")
        yield node
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def api(path: Path) -> Iterator[None]:
    """An API process that echoes, behind nginx."""
    with unix_serve(echo, str(path), process_request=health, compression=None) as server:
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def node(directory: Path) -> Iterator[Node]:
    upstream = directory / "api-0.sock"
    with api(upstream), running(directory / "nginx", [upstream]) as started:
        yield started


LONGEST = f"play.{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 40}.example"
"""A play name as long as its regional names leave it."""


@pytest.mark.parametrize(("workers", "name"), [(1, NAME), ("auto", NAME), (2, LONGEST)])
def test_nginx_accepts_its_configuration(directory: Path, workers: int | str, name: str) -> None:
    home = directory / f"nginx-{workers}"
    home.mkdir()
    tls = certificates.create(home / "tls", [name, f"*.{name}"])
    config = render.Nginx(
        server_names=(name, f"ap-southeast-1.{name}"),
        address="127.0.0.1",
        upstreams=[home / f"api-{number}.sock" for number in range(16)],
        certificate=tls.certificate,
        certificate_key=tls.certificate_key,
        directory=home,
        error_log=home / "error.log",
        worker_processes="auto" if workers == "auto" else 1,
        worker_connections=165_535,
        worker_rlimit_nofile=None,
        http_port=free_port(),
        https_port=free_port(),
    )
    path = home / "nginx.conf"
    path.write_text(config.render())
    done = subprocess.run(
        [program("nginx"), "-t", "-q", "-e", "stderr", "-c", path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (
        "[warn]" not in done.stderr.replace("exceed open file resource limit", "") or "165535" in done.stderr
    )


async def exchange(node: Node, messages: Sequence[str], headers: Sequence[tuple[str, str]] = ()) -> list[str]:
    """What a user is answered to each message."""
    async with asyncio.timeout(20), node.user(headers) as connection:
        answered = []
        for message in messages:
            await connection.send(message)
            answered.append(str(await connection.recv()))
        return answered


def test_a_websocket_passes_through_tls_and_nginx(node: Node) -> None:
    messages = ["hello", "x" * 100_000]
    assert asyncio.run(exchange(node, messages)) == messages


def test_the_service_is_told_the_clients_address_whatever_the_client_says(node: Node) -> None:
    claims = [("X-Real-IP", "192.0.2.1"), ("x-real-ip", "192.0.2.2")]
    assert asyncio.run(exchange(node, ["address?"], claims)) == ["127.0.0.1"]


def test_a_connection_of_nginx_is_kept_alive_by_the_kernel(node: Node) -> None:
    """The timer of its socket is the one for keepalive: 2 in the kernel's table."""
    with node.trust().wrap_socket(node.raw(), server_hostname=NAME) as connection:
        client_port = connection.getsockname()[1]

        def timers() -> list[str]:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            ends = [(row[1].split(":")[1], row[2].split(":")[1], row[5].split(":")[0]) for row in rows]
            return [
                t
                for ours, theirs, t in ends
                if (int(ours, 16), int(theirs, 16)) == (node.https_port, client_port)
            ]

        until("nginx's timer", lambda: timers() == ["02"] or None, timeout_s=20)


async def stay(node: Node, users: int) -> None:
    """Let users connect one after the other, and keep them all."""
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        for _ in range(users):
            await stack.enter_async_context(node.user())


def test_everyone_is_let_in_as_soon_as_the_processes_are_back(directory: Path) -> None:
    sockets = [directory / f"back-{number}.sock" for number in range(2)]
    with running(directory / "nginx-back", sockets) as node, ExitStack() as stack:
        for _ in range(8):
            assert node.request("GET", "/healthz").status == HTTPStatus.BAD_GATEWAY
        for path in sockets:
            stack.enter_context(api(path))
        asyncio.run(stay(node, 8))


def test_health_is_the_services_own_answer_with_security_headers(node: Node) -> None:
    response = node.request("GET", "/healthz")
    assert response.status == HTTPStatus.OK
    assert response.headers["Server"] == "nginx"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in response.headers["Strict-Transport-Security"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/", None, {}, 404),
        ("/healthz/../etc/passwd", None, {}, 404),
        ("/healthz", b"x" * 10_000, {}, 413),
        ("/healthz", None, {"X-Long": "x" * 5_000}, 400),
        ("/" + "x" * 5_000, None, {}, 414),
    ],
    ids=["unknown path", "path outside", "long body", "long header", "long address"],
)
def test_what_is_not_the_services_is_refused(
    node: Node, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    assert node.request("GET", path, body=body, headers=headers).status == status


@pytest.mark.parametrize("name", ["other.example", None])
def test_a_name_that_is_not_ours_gets_no_certificate(node: Node, name: str | None) -> None:
    context = node.trust()
    context.check_hostname = False
    with pytest.raises(ssl.SSLError), node.raw() as raw:
        context.wrap_socket(raw, server_hostname=name)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_tls_is_spoken_with_an_elliptic_curve_certificate(
    node: Node, version: ssl.TLSVersion
) -> None:
    context = node.trust()
    context.minimum_version = context.maximum_version = version
    with node.raw() as raw, context.wrap_socket(raw, server_hostname=NAME) as connection:
        assert connection.version() == version.name.replace("_", ".")
        cipher = connection.cipher()
        assert cipher is not None
        assert "CBC" not in cipher[0]


def test_plain_http_leads_to_https(node: Node) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=10)
    with closing(connection):
        connection.request("GET", "/ws", headers={"Host": NAME})
        response = connection.getresponse()
        assert response.status == HTTPStatus.MOVED_PERMANENTLY
        assert response.headers["Location"] == f"https://{NAME}/ws"


def start_redis(home: Path, port: int, replica_of_port: int | None) -> subprocess.Popen[bytes]:
    home.mkdir()
    config = render.Redis(
        bind=("127.0.0.1",),
        announce="127.0.0.1",
        socket=home / "redis.sock",
        directory=home,
        password="a-password",
        max_memory_mib=50,
        port=port,
        replica_of="127.0.0.1" if replica_of_port else None,
        replica_of_port=replica_of_port or 6379,
        sync_delay_s=0,
    )
    path = home / "redis.conf"
    path.write_text(config.render())
    with (home / "log").open("wb") as log:
        return subprocess.Popen([program("redis-server"), path], stdout=log, stderr=log)


def test_redis_keeps_a_replica_in_step_and_strangers_out(directory: Path) -> None:
    port, replica_port = free_port(), free_port()
    homes = (directory / "master", directory / "replica")
    processes = (start_redis(homes[0], port, None), start_redis(homes[1], replica_port, port))
    try:
        clients = [
            redis.Redis(unix_socket_path=str(home / "redis.sock"), password="a-password") for home in homes
        ]
        with clients[0] as master, clients[1] as replica:
            for client, process, home in zip(clients, processes, homes, strict=True):

                def answers(client: redis.Redis = client) -> bool:
                    try:
                        return bool(client.ping())
                    except redis.ConnectionError as error:
                        raise ConnectionError(str(error)) from error

                until("Redis", answers, timeout_s=20, process=process, log=home / "log")
            until(
                "the replica",
                lambda: replica.info("replication")["master_link_status"] == "up" or None,
                timeout_s=20,
            )
            master.set("a", "1")
            assert master.execute_command("WAIT", 1, 10_000) == 1
            assert replica.get("a") == b"1"
            assert master.config_get("appendonly") == {"appendonly": "yes"}
            assert master.config_get("appendfsync") == {"appendfsync": "everysec"}
            with pytest.raises(redis.ReadOnlyError):
                replica.set("a", "2")
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize(("log_bin", "replica"), [(True, False), (False, True), (True, True)])
def test_mariadb_understands_every_setting(directory: Path, log_bin: bool, replica: bool) -> None:
    home = directory / f"mariadb-{log_bin}-{replica}"
    home.mkdir()
    config = render.Mariadb(
        bind=("127.0.0.1", "127.0.0.2"),
        socket=home / "mariadb.sock",
        directory=home,
        pid_file=home / "pid",
        server_id=77,
        buffer_pool_mib=64,
        log_file_mib=8,
        log_bin=log_bin,
        replica=replica,
        io_capacity=1000,
        user="root" if os.geteuid() == 0 else "mysql",
    )
    path = home / "mariadb.cnf"
    path.write_text(config.render())
    done = subprocess.run(
        [program("mariadbd"), f"--defaults-file={path}", "--verbose", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    effective = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert effective["max-connections"] == "500"
    assert effective["innodb-flush-log-at-trx-commit"] == "2"
    assert effective["skip-name-resolve"] == "TRUE"
    assert effective["gtid-strict-mode"] == "TRUE"
    assert effective["read-only"] == ("TRUE" if replica else "FALSE")
