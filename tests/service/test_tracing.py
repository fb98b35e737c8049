"""Traces: a span for each request and one for each call of Redis inside, and nothing at all when off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from market.handlers import handle
from market.origins import Origin, within
from market.protocol import Account, GetAccount, ListGames, Reply, Request
from market.seed import seed
from market.server import Api
from market.settings import Settings, TracingSettings
from market.store import Failure
from market.tokens import Identity, load_signer
from market.tracing import Tracing
from tests.service.client import connected
from tests.service.conftest import RedisServer, toml, until
from tests.service.shared_api import running_api, settings_without_sql

CONNECTION: Final = "0123456789abcdef"


Span = Any
"""A `ReadableSpan`, whose annotations leave open what it has."""


class Named:
    name = CONNECTION


@pytest.fixture
def plain(master: RedisServer, password_file: Path, token_key_file: Path) -> Settings:
    found = settings_without_sql(master, password_file, token_key_file)
    seed(found, users=2, balance=1000)
    return found


async def asked(api: Api, user: str, request: Request) -> Reply | Failure:
    answer: asyncio.Future[Reply | Failure] = asyncio.get_running_loop().create_future()
    within(Origin(Named(), request.id), handle, api, Identity(user, 1 << 40), request, answer.set_result)
    return await asyncio.wait_for(answer, 10)


def traced(settings: Settings, scenario: Callable[[Api], Awaitable[None]]) -> list[Span]:
    """The spans of what is asked of an API, in the order in which they ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def run() -> None:
        api = Api(settings)
        api.tracing = Tracing(provider)
        await api.start()
        try:
            await asyncio.to_thread(until, lambda: api.store.problem() is None, "redis")
            await scenario(api)
        finally:
            await api.drain()

    asyncio.run(run())
    return list(exporter.get_finished_spans())


def test_a_request_is_a_span_and_each_of_its_calls_of_redis_one_inside(plain: Settings) -> None:
    async def scenario(api: Api) -> None:
        answers = await asyncio.gather(
            asked(api, "user-1", GetAccount(1)),
            asked(api, "nobody", GetAccount(2)),
            asked(api, "user-1", ListGames(3)),
        )
        assert answers[0] == Account(1, "user-1", 1000)

    spans = traced(plain, scenario)
    requests = [span for span in spans if span.parent is None]
    calls = {span.parent.span_id: span for span in spans if span.parent is not None}
    assert sorted(span.name for span in requests) == ["get_account", "get_account", "list_games"]
    assert len(calls) == len(spans) - len(requests) == 3
    for request in requests:
        call = calls[request.context.span_id]
        assert call.context.trace_id == request.context.trace_id
        assert request.start_time <= call.start_time <= call.end_time <= request.end_time
        assert dict(call.attributes) == {"db.system": "redis"}
        assert request.attributes["market.connection"] == CONNECTION
        assert request.status.status_code is StatusCode.UNSET
    assert sorted(span.attributes.get("error.type", "") for span in requests) == ["", "", "NO_SUCH_ACCOUNT"]


def test_a_fault_of_the_service_marks_the_spans(plain: Settings, master: RedisServer) -> None:
    with master.client() as client:
        client.delete("market:account:user-1")
        client.rpush("market:account:user-1", "1")

    async def scenario(api: Api) -> None:
        assert isinstance(await asked(api, "user-1", GetAccount(1)), Failure)

    spans = traced(plain, scenario)
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 2
    assert [span.attributes["error.type"] for span in spans] == ["ReplyError", "INTERNAL"]


class Collector(HTTPServer):
    """Takes traces as a collector of OpenTelemetry does."""

    def __init__(self) -> None:
        self.names: list[str] = []
        super().__init__(("127.0.0.1", 0), Taker)


class Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        taken = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Collector)
        for resource in taken.resource_spans:
            for scope in resource.scope_spans:
                self.server.names += [span.name for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_process_sends_its_traces_before_it_ends(
    plain: Settings, directory: Path, token_key_file: Path, collector: Collector
) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    token = load_signer(str(token_key_file)).issue("user-1", 60)

    async def scenario(path: Path) -> None:
        async with connected(path, token) as user:
            await user.ask(GetAccount(1))

    with running_api(msgspec.structs.replace(plain, tracing=TracingSettings(endpoint)), directory) as server:
        asyncio.run(scenario(server.path))
    assert collector.names.count("get_account") == 1
    assert len(collector.names) == 2


OFF = """
import sys
if sys.argv[1] == "absent":
    sys.modules["opentelemetry"] = None
from pathlib import Path
from market import cli, settings, tracing
loaded = settings.load(Path(sys.argv[2]))
try:
    print(tracing.tracing_of(loaded), sorted(TRACERS & sys.modules.keys()))
except settings.SettingsError as error:
    print(error)
""".replace("TRACERS", "{'opentelemetry.sdk.trace', 'opentelemetry.exporter.otlp.proto.http.trace_exporter'}")


@pytest.mark.parametrize(
    ("extra", "endpoint", "said"),
    [
        ("there", None, "None []"),
        ("absent", None, "None []"),
        ("absent", "http://127.0.0.1:1/", "tracing needs the extra: install isochrone-market[otel]"),
    ],
)
def test_without_an_endpoint_nothing_is_traced_or_needed(
    plain: Settings, tmp_path: Path, extra: str, endpoint: str | None, said: str
) -> None:
    file = tmp_path / "market.toml"
    file.write_text(toml(msgspec.structs.replace(plain, tracing=TracingSettings(endpoint))), encoding="utf-8")
    argv = [sys.executable, "-c", OFF, extra, str(file)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == said
