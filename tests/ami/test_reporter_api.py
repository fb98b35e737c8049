"""The API processes: connections, their share of the descriptors, and their own figures."""

from __future__ import annotations

import contextlib
import http.server
import os
import resource
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ami.node.reporter.collectors import api
from ami.node.reporter.collectors.api import Api
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Snapshot
from ami.node.reporter.role_processes import Identity, RoleProcess, list_processes
from market.protocol import SUBPROTOCOL
from market.settings import RedisEndpoint, Settings, SqlEndpoint
from tests.service.conftest import end, toml, until

OWN = """\
# HELP market_broadcast_late_ms How late broadcasts are sent.
# TYPE market_broadcast_late_ms histogram
market_broadcast_late_ms_bucket{le="10.0"} 3
market_broadcast_late_ms_bucket{le="+Inf"} 4
market_broadcast_late_ms_sum 45
market_broadcast_late_ms_count 4
# TYPE market_requests_total counter
market_requests_total{kind="predict"} 7
# TYPE python_info gauge
python_info 1
"""


def snapshot(*running: RoleProcess) -> Snapshot:
    return Snapshot(0, tuple(Api(lambda: running).collect()))


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Settings whose databases are not there: a process serves connections without them."""
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-32-characters-at-least")
    redis = RedisEndpoint("127.0.0.1", 1, str(secret))
    sql = SqlEndpoint("127.0.0.1", 1, "market_reader", str(secret))
    path = tmp_path / "settings.toml"
    path.write_text(toml(Settings("eu-west-1", "node-1", str(secret), redis, redis, sql, sql)))
    return path


@pytest.fixture
def process(settings_file: Path, tmp_path: Path) -> Iterator[RoleProcess]:
    """A real API process."""
    path = tmp_path / "api-0.sock"
    argv = [
        sys.executable,
        "-m",
        "market.cli",
        "api",
        "--settings",
        str(settings_file),
        "--listen",
        str(path),
    ]
    with (tmp_path / "log").open("w") as log:
        started = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        until(path.exists, "the api")
        yield next(each for each in list_processes() if each.pid == started.pid)
    finally:
        end(started)


def test_open_connections_are_counted_by_process(process: RoleProcess) -> None:
    assert process.identity.process == "api-0"
    assert process.identity.listens_at
    with contextlib.ExitStack() as stack:
        for count in range(5):
            now = snapshot(process)
            assert now.value(api.CONNECTIONS) == count
            assert now.series(api.PROCESS_CONNECTIONS.name) == {("api-0",): count}
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(process.identity.listens_at)
            client.sendall(
                b"GET /ws HTTP/1.1\r\nHost: market\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            )
            client.sendall(f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n".encode())
            client.sendall(
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert b"101" in client.recv(1024)
        share = 100 * 5 / resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert snapshot(process).series(api.DESCRIPTORS_PERCENT.name) == {("api",): pytest.approx(share)}


def test_the_services_own_figures_are_passed_on(process: RoleProcess) -> None:
    figures = snapshot(process)
    assert figures.series("market_connections") == {("api-0",): 0}
    assert ("api-0", "+Inf") in figures.series(api.BROADCAST_LATE, "_bucket")


def test_without_a_process_there_is_no_connection_and_no_share() -> None:
    now = snapshot()
    assert now.value(api.CONNECTIONS) == 0
    assert now.series(api.DESCRIPTORS_PERCENT.name) == {}


@contextlib.contextmanager
def page(path: Path, status: int, text: str, hang: bool = False) -> Iterator[RoleProcess]:
    """A process that says something at /metrics."""
    go_on = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if hang:
                go_on.wait()
            self.send_response(status if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

        def address_string(self) -> str:
            return ""

    class Listener(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    with Listener(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield RoleProcess(os.getpid(), Identity("api", path.stem, str(path)))
        finally:
            go_on.set()
            server.shutdown()
            thread.join()


def test_what_a_process_says_of_itself_is_passed_on(tmp_path: Path) -> None:
    with page(tmp_path / "api-1.sock", 200, OWN) as process:
        now = snapshot(process)
    assert now.series(api.BROADCAST_LATE, "_bucket") == {("api-1", "10.0"): 3, ("api-1", "+Inf"): 4}
    assert now.series(api.BROADCAST_LATE, "_count") == {("api-1",): 4}
    assert now.series("market_requests_total") == {("api-1", "predict"): 7}
    assert not now.series("python_info")


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (200, "market_x{", "api-1 says what is not in Prometheus's format"),
        (503, "", "api-1: it answers 503"),
        (200, "#" * (api.MOST_BYTES + 1), "its page is longer than"),
        (200, "".join(f'market_x{{i="{i}"}} 1\n' for i in range(api.MOST_SAMPLES + 1)), None),
    ],
)
def test_nonsense_silences_neither_the_count_nor_the_others(
    tmp_path: Path, status: int, text: str, why: str | None
) -> None:
    if why is None:
        text, why = "# TYPE market_x gauge\n" + text, "more than 5000 figures"
    figures: list[Figure] = []
    with (
        page(tmp_path / "api-1.sock", status, text) as bad,
        page(tmp_path / "api-2.sock", 200, OWN) as good,
        pytest.raises(MeasuringError, match=why),
    ):
        figures.extend(Api(lambda: [bad, good]).collect())
    now = Snapshot(0, tuple(figures))
    assert now.value(api.CONNECTIONS) is not None
    assert now.series(api.BROADCAST_LATE, "_count") == {("api-2",): 4}


def test_one_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    with (
        page(tmp_path / "api-1.sock", 200, OWN, hang=True) as hanging,
        pytest.raises(MeasuringError, match="no figures of api-1"),
    ):
        list(Api(lambda: [hanging]).collect())
    assert time.monotonic() - begun < 5


def running(*processes: tuple[int, str]) -> list[RoleProcess]:
    return [RoleProcess(pid, Identity(name.partition("-")[0], name)) for pid, name in processes]


NODE = running((1, "api-0"), (2, "api-1"), (3, "nginx-master"), (4, "nginx-worker"), (5, "nginx-worker"))


@pytest.mark.parametrize(
    ("limits", "shares"),
    [
        ({1: 1000, 2: 1000, 3: 10, 4: 2000, 5: 2000}, {"api": 30.0, "nginx": 20.0}),
        ({1: 1000, 2: 500, 4: 400, 5: 400}, {"api": 30.0, "nginx": 100.0}),
        ({1: 1000, 2: 1000, 4: None, 5: 2000}, {"api": 30.0}),
        ({1: None, 2: 1000}, {"api": 10.0}),
        ({}, {}),
    ],
)
def test_shares_of_the_descriptors(limits: dict[int, int | None], shares: dict[str, float]) -> None:
    found = api.descriptors_percent(NODE, {"api-0": 300, "api-1": 100}, limits)
    assert found == pytest.approx(shares)


def test_a_listener_is_bound_under_its_own_name_first() -> None:
    assert api.bound_addresses("/run/market/api-0.sock", 77) == (
        "/run/market/api-0.sock",
        "/run/market/.api-0.sock.77",
    )


def test_many_connections_are_cheap(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    path = str(tmp_path / "api-0.sock")
    count = min(5_000, hard // 2 - 200)
    try:
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            listener.listen(1)
            for _ in range(count):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
                stack.enter_context(listener.accept()[0])
            here = RoleProcess(os.getpid(), Identity("api", "api-0", path))
            figures: list[Figure] = []
            begun = time.process_time()
            for figure in Api(lambda: [here]).collect():
                figures.append(figure)
                if figure.metric == api.PROCESS_WAITING:
                    break
            took_s = time.process_time() - begun
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert Snapshot(0, tuple(figures)).value(api.CONNECTIONS) == count
    assert took_s < 0.1
