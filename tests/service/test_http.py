"""The market over HTTP: described by its OpenAPI document, and held to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from prometheus_client.parser import text_string_to_metric_families as parse
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from market.connection_settings import Limits
from market.handlers import HANDLERS
from market.http.openapi import document
from market.http.routes import ROUTES
from market.http.statuses import status_of
from market.protocol import ErrorCode, JoinGame, LeaveGame
from market.seed import seed
from market.settings import Settings, SqlEndpoint
from market.tokens import Signer, load_signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, RedisServer, Serve, free_port
from tests.service.shared_api import running_api, settings_without_sql

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


class Http:
    """A client of one API process."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """The status, the JSON and the headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        shown = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, shown)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text), response.headers


@pytest.fixture(scope="module")
def api(
    directory: Path,
    master: RedisServer,
    mariadb: SqlEndpoint,
    password_file: Path,
    token_key_file: Path,
) -> Iterator[Http]:
    """A process that all tests share; the tokens are those of one user, who has 1,000."""
    sql = msgspec.structs.replace(mariadb, user="market_ledger")
    settings = msgspec.structs.replace(
        settings_without_sql(master, password_file, token_key_file, limits=Limits(requests_per_user_per_s=0)),
        sql_master=sql,
        sql_read=sql,
        flush_interval_ms=300,
    )
    seed(settings, users=10, balance=1000)
    port = free_port()
    with running_api(settings, directory, listen=f"127.0.0.1:{port}") as server:
        yield Http(port, load_signer(str(token_key_file)).issue("user-1", 600, scopes=["bank"]))
        assert server.alive()


PREDICTIONS = "/v2/games/match-1/pools/winner/predictions"


def test_an_operation_is_answered_as_by_websocket(api: Http) -> None:
    status, games, headers = api.ask("GET", "/v2/games")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert games == {"type": "games", "games": [{"id": "match-1", "title": "Home - Away", "status": "live"}]}
    status, placed, _ = api.ask("POST", PREDICTIONS, {"option": 1, "stake": 300, "key": "k1"})
    assert (status, placed["balance"], placed["duplicate"]) == (200, 700, False)
    status, again, _ = api.ask(
        "POST", PREDICTIONS, {"option": 1, "stake": 300}, headers={"Idempotency-Key": "k1"}
    )
    assert (status, again) == (200, placed | {"duplicate": True})
    _, listed, _ = api.ask("GET", "/v2/games/match-1/pools")
    assert listed["pools"][0]["totals"] == [0, 300, 0]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "/v2/games", None, {"Authorization": "Bearer no"}, 401, 4010),
        ("GET", "/v2/games", None, {"Authorization": "Basic no"}, 401, 4010),
        ("GET", "/v2/nothing", None, {}, 404, 4001),
        ("PATCH", "/v2/games", None, {}, 405, 4001),
        ("GET", "/v2/games/match-9/pools", None, {}, 404, 4040),
        ("GET", "/v2/games?limit=3", None, {}, 400, 4000),
        ("GET", "/v2/games/a%20b/pools", None, {}, 400, 4000),
        ("POST", PREDICTIONS, {"option": 1, "stake": 3}, {}, 400, 4000),
        ("POST", PREDICTIONS, {"option": "1", "stake": 3, "key": "k"}, {}, 400, 4000),
        ("POST", PREDICTIONS, {"option": 1, "stake": 3, "key": "k", "game": "other"}, {}, 400, 4000),
        ("POST", PREDICTIONS, b"{", {}, 400, 4000),
        ("POST", PREDICTIONS, b"[1]", {}, 400, 4000),
        ("POST", PREDICTIONS, b"[" * 4000, {}, 400, 4000),
        ("POST", PREDICTIONS, b"{}", {"Content-Type": "text/plain"}, 415, 4000),
        ("POST", PREDICTIONS, b" " * 5000, {}, 413, 4000),
        ("POST", PREDICTIONS, {"option": 1, "stake": 10**9, "key": "k"}, {}, 409, 4092),
    ],
)
def test_a_refusal_has_the_protocols_number_and_a_fitting_status(
    api: Http, method: str, path: str, body: object, headers: dict[str, str], status: int, code: int
) -> None:
    answered, error, sent = api.ask(method, path, body, headers)
    assert (answered, error["type"], error["code"]) == (status, "error", code)
    assert ("WWW-Authenticate" in sent) == (status == 401)
    assert ("Allow" in sent) == (status == 405)


def test_a_connection_serves_request_after_request(api: Http) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    connection.connect()
    local = connection.sock.getsockname()
    for _ in range(3):
        connection.request("GET", "/v2/games", headers={"Authorization": f"Bearer {api.token}"})
        assert connection.getresponse().read()
        assert connection.sock.getsockname() == local
    connection.close()


def test_requests_that_come_at_once_or_byte_by_byte_are_answered_in_order(api: Http) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: market\r\n\r\n"
    missing = b"GET /v3 HTTP/1.1\r\nHost: market\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(request + request)
        for byte in missing:
            client.sendall(bytes((byte,)))
        answer = b""
        while data := client.recv(65_536):
            answer += data
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"404"]


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"G", b"POST / HTTP/9\r\n\r\n"])
def test_what_is_no_http_is_refused_and_hung_up_on(api: Http, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass


def test_health_says_whether_it_lives_and_whether_it_can_serve(api: Http) -> None:
    for path in ("/livez", "/readyz", "/healthz"):
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"ok")
        connection.close()


def test_every_operation_has_one_route() -> None:
    assert sorted(kind.__name__ for kind in HANDLERS) == sorted(route.request.__name__ for route in ROUTES)
    assert {JoinGame, LeaveGame}.isdisjoint(HANDLERS)


def test_every_error_has_a_status_that_http_knows() -> None:
    assert all(400 <= status_of(code) < 600 for code in ErrorCode)


def test_the_server_does_what_its_description_says(api: Http) -> None:
    status, described, _ = api.ask("GET", "/openapi.json")
    assert (status, described) == (200, document("2"))
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=f"http://127.0.0.1:{api.port}")
    operations: list[Any] = list(schema.get_all_operations())
    assert len(operations) == len(ROUTES)
    for operation in operations:
        _examine(operation.ok().as_strategy(), api.token)


def _examine(strategy: Any, token: str) -> None:
    @hypothesis_settings(
        max_examples=5,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(strategy)
    def examine(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    examine()


def test_metrics_count_requests_by_type_and_result_and_broadcasts_by_lateness(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            await user.ask(JOIN)
            for number in range(3):
                await user.ask(prediction(number, stake=400))
            await user.distribution_of(2)
            status, text = await asyncio.to_thread(server.get, "/metrics")
            found = {
                (s.name, *(s.labels.get(name) for name in ("type", "code") if name in s.labels)): s.value
                for family in parse(text)
                for s in family.samples
            }
            assert status == 200
            assert found["market_requests_total", "place_prediction", "ok"] == 2
            assert found["market_requests_total", "place_prediction", "4092"] == 1
            assert found["market_request_seconds_count", "place_prediction"] == 3
            assert found["market_connections",] == found["market_listeners",] == 1
            sent = len(user.distributions)
            assert found["market_broadcast_late_ms_count",] == found["market_deliveries_total",] == sent
            assert 0 < found["market_broadcast_late_ms_sum",] < 10_000
            assert found["process_open_fds",] > 0

    asyncio.run(scenario())
