"""The reporter as a process: what it answers, where, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ami.node.reporter import server
from ami.node.reporter.errors import MeasuringError, ReporterError
from ami.node.reporter.exposition import exposition
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.server import Page, Server
from tests.ami.node_fakes import HOME, bare_document
from tests.service.conftest import RedisServer, end, free_port, until

PASSWORD = "a-password"
ANYWHERE = "0.0.0.0"  # noqa: S104 - what must be refused


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers.get("Content-Type", ""), response.read().decode()
    finally:
        connection.close()


Serve = Callable[[dict[str, Page]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer pages at a free port."""
    started: list[Server] = []

    def run(pages: dict[str, Page]) -> int:
        serving = Server("127.0.0.1", 0, pages)
        started.append(serving)
        serving.start()
        port: int = serving.server_address[1]
        return port

    yield run
    for serving in started:
        serving.shutdown()
        serving.server_close()


def failing() -> bytes:
    raise MeasuringError("no region lists its machines")


def broken() -> bytes:
    raise ZeroDivisionError


def test_pages_are_answered_and_nothing_else(serve: Serve) -> None:
    port = serve(
        {
            "/metrics": Page("text/plain", lambda: b"figures"),
            "/failing": Page("text/plain", failing),
            "/broken": Page("text/plain", broken),
        }
    )
    assert ask(port, "/metrics") == (200, "text/plain", "figures")
    assert ask(port, "/metrics?name[]=x")[0] == 200
    assert ask(port, "/")[0] == 404
    assert ask(port, "/targets")[0] == 404
    assert ask(port, "/failing") == (503, "text/plain", "no region lists its machines\n")
    assert ask(port, "/broken")[0] == 500
    assert ask(port, "/metrics", "POST")[0] == 501


def test_clients_that_do_not_ask_do_not_use_it_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.node.reporter.server._Handler.timeout", 0.2)
    port = serve({"/metrics": Page("text/plain", lambda: b"figures")})
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(server.MOST_REQUESTS + 4)]
    try:

        def answers() -> bool:
            try:
                return ask(port, "/metrics")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        until(answers, "a free place")
    finally:
        for each in idle:
            each.close()


@pytest.mark.parametrize("address", [ANYWHERE, "::", "8.8.8.8", "224.0.0.1", "node.example"])
def test_figures_are_answered_on_the_private_side_only(address: str) -> None:
    with pytest.raises(ReporterError):
        Server(address, 0, {})


@pytest.mark.parametrize("address", ["10.1.0.5", "172.31.4.4", "198.18.0.1", "127.0.0.1"])
def test_private_addresses_are_taken(address: str) -> None:
    assert server.checked_address(address) == address


def test_nothing_is_answered_at_another_address(serve: Serve) -> None:
    port = serve({"/metrics": Page("text/plain", lambda: b"figures")})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_port_that_is_taken_is_said() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(ReporterError, match="is there another reporter"),
    ):
        Server("127.0.0.1", other.getsockname()[1], {})


def test_figures_in_prometheuss_format() -> None:
    figures = [
        Figure(Metric("a_bytes", "gauge", "memory", ("x", "y")), 2.5, ("1", 'quoted "2"')),
        Figure(Metric("b_total", "counter", "events"), 7),
        Figure(Metric("h_ms", "histogram", "times", ("process", "le")), 3, ("api-0", "+Inf"), "_bucket"),
        Figure(Metric("h_ms", "histogram", "times", ("process",)), 4, ("api-0",), "_sum"),
        Figure(Metric("a_bytes", "gauge", "memory", ("x", "y")), 1, ("2", "")),
    ]
    families = {each.name: each for each in text_string_to_metric_families(exposition(figures).decode())}
    assert {name: family.type for name, family in families.items()} == {
        "a_bytes": "gauge",
        "b": "counter",
        "h_ms": "histogram",
    }
    samples = [(s.name, s.labels, s.value) for family in families.values() for s in family.samples]
    assert samples == [
        ("a_bytes", {"x": "1", "y": 'quoted "2"'}, 2.5),
        ("a_bytes", {"x": "2", "y": ""}, 1),
        ("b_total", {}, 7),
        ("h_ms_bucket", {"process": "api-0", "le": "+Inf"}, 3),
        ("h_ms_sum", {"process": "api-0"}, 4),
    ]


def document(redis_port: int, metrics_port: int, **changes: Any) -> dict[str, Any]:
    here = {"host": "127.0.0.1", "port": redis_port}
    return (
        bare_document(metrics_port)
        | {
            "services": ["redis", "ledger", "feed"],
            "redis": {
                "runs": "master",
                "master": here,
                "read": here,
                "sentinels": [],
                "append-sync": "everysec",
            },
            "sql": {"master": here, "read": here, "users": {}, "log-flush": None},
            "listing": {"regions": [HOME], "tag": "isochrone:stack", "value": "geo-ii"},
        }
        | changes
    )


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", PASSWORD)
    server.start()
    yield server
    server.stop()


def start(tmp_path: Path, told: dict[str, Any], *options: str) -> subprocess.Popen[str]:
    path = tmp_path / "document.json"
    path.write_text(json.dumps(told))
    (tmp_path / "redis-password").write_text(PASSWORD)
    argv = ["--document", str(path), "--secrets", str(tmp_path), *(options or ("--address", "127.0.0.1"))]
    argv += ["--state", str(tmp_path), "--journal", str(tmp_path)]
    return subprocess.Popen(
        [sys.executable, "-m", "ami.node.reporter", *argv],
        stderr=subprocess.PIPE,
        text=True,
        # Nobody listens there: AWS is away.
        env=os.environ
        | {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_MAX_ATTEMPTS": "1",
        },
    )


def values(port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    status, kind, text = ask(port, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def listens(port: int) -> Callable[[], bool]:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return answers


def test_the_reporter_measures_a_real_machine_until_sigterm(tmp_path: Path, redis: RedisServer) -> None:
    port = free_port()
    process = start(tmp_path, document(redis.port, port))
    try:
        until(listens(port), "the reporter")
        found = values(port)
        for name in (
            "cpu",
            "memory",
            "disk",
            "network",
            "tcp",
            "processes",
            "redis",
            "ledger",
            "publisher",
            "logs",
        ):
            assert found["isochrone_reporter_collector_up", (name,)] == 1, name
        assert found["isochrone_memory_total_bytes", ()] > 1 << 28
        assert found["isochrone_ledger_backlog_entries", ()] == 0
        assert found["isochrone_redis_master", ()] == 1
        assert not [name for name, _ in found if name.startswith(("market_", "isochrone_connections"))]
        status, _, why = ask(port, "/targets")
        assert status == 503
        assert "eu-west-1" in why
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - begun < 2
        assert process.stderr
        assert "Traceback" not in process.stderr.read()
    finally:
        end(process)
        assert process.stderr
        process.stderr.close()


def test_a_redis_that_ends_silences_nothing_else(tmp_path: Path, redis: RedisServer) -> None:
    port = free_port()
    process = start(tmp_path, document(redis.port, port))
    redis.stop()
    try:
        until(listens(port), "the reporter")
        found = values(port)
        up = {labels[0]: value for (name, labels), value in found.items() if name.endswith("collector_up")}
        assert {name for name, value in up.items() if not value} == {"redis", "ledger"}
        assert ("isochrone_ledger_backlog_entries", ()) not in found
        assert found["isochrone_memory_total_bytes", ()] > 0
    finally:
        end(process)
        assert process.stderr
        assert "redis cannot be measured: Redis does not answer" in process.stderr.read()
        process.stderr.close()


@pytest.mark.parametrize(
    ("told", "options", "status", "why"),
    [
        ({}, ("--address", ANYWHERE), 75, "which the world may reach"),
        ({}, ("--document", "/nowhere"), 75, "cannot read /nowhere"),
        ({"schema": 2}, ("--address", "127.0.0.1"), 78, "has schema 2"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, told: dict[str, Any], options: tuple[str, str], status: int, why: str
) -> None:
    process = start(tmp_path, document(6379, free_port()) | told, *options)
    with process:
        output = process.communicate(timeout=20)[1]
    assert process.returncode == status
    assert why in output
    assert output.startswith("reporter: ")
    assert output.count("\n") == 1


def test_a_machine_knows_its_private_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.node.reporter.server._METADATA", ("127.0.0.1", 80))
    assert server.private_address() == "127.0.0.1"
