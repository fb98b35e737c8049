"""A feed's process: events by WebSocket and by HTTP, each once, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market import keys
from market.protocol import Accepted, ErrorCode, JoinGame, ListGames, SubmitEvent, encode
from market.settings import FeedSettings, Settings
from market.tokens import Signer
from tests.service.administering import event, journal, live_settings, serving
from tests.service.client import connected
from tests.service.conftest import Client, RedisServer, Server, until


class UnixHttp(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("market", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))


@dataclass
class Feed:
    """A running feed, and a connection to it that is kept."""

    server: Server
    http: UnixHttp
    token: str

    def post(
        self, body: Any, *, token: str | None = None, path: str = "/events", **headers: str
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else encode(body)
        headers["Authorization"] = f"Bearer {token or self.token}"
        self.http.request("POST", path, data, headers)
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read())

    def opened(self) -> socket.socket:
        """A connection of one's own."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect(str(self.server.path))
        return client


def everything_of(client: socket.socket) -> bytes:
    """All that is answered, until the feed closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while more := client.recv(65536):
            answer += more
    return answer


def bounded(master: RedisServer, password_file: Path, token_key_file: Path) -> Settings:
    bounds = FeedSettings(max_body_bytes=8192, max_events=20, max_connections=32, request_timeout_s=2.0)
    return msgspec.structs.replace(live_settings(master, password_file, token_key_file), feed=bounds)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Server]:
    settings = bounded(master, password_file, token_key_file)
    with serving(tmp_path_factory.mktemp("feed"), "feed", settings) as running:
        yield running


@pytest.fixture
def feed(server: Server, market: Client, signer: Signer) -> Iterator[Feed]:
    with contextlib.closing(UnixHttp(server.path)) as client:
        yield Feed(server, client, signer.issue("feed-1", 600, scope="feed"))


def arrived(market: Client) -> list[str]:
    """The ids of the events in the order in which they were taken."""
    return [entry["body"]["event"]["id"] for entry in journal(market, "event")]


def test_events_are_taken_once_whatever_way_they_come(feed: Feed, market: Client) -> None:
    assert feed.post(event(1)) == (200, {"type": "accepted", "id": 0, "duplicate": False})
    assert feed.post(event(1)) == (200, {"type": "accepted", "id": 0, "duplicate": True})
    status, answers = feed.post([event(3), event(2), event(1)])
    assert (status, [answer["duplicate"] for answer in answers]) == (200, [False, False, True])

    async def scenario() -> None:
        async with connected(feed.server.path, feed.token) as client:
            assert await client.ask(SubmitEvent(5, event(2))) == Accepted(5, True)
            assert await client.ask(SubmitEvent(6, event(4))) == Accepted(6, False)

    asyncio.run(scenario())
    assert arrived(market) == ["e1", "e3", "e2", "e4"]
    assert market.zrange(keys.apply("match-1"), 0, -1) == [b"e1", b"e2", b"e3", b"e4"]
    assert market.xlen(keys.EVENTS) == 4


def test_a_feed_answers_nothing_else(feed: Feed, market: Client) -> None:
    async def scenario() -> None:
        async with connected(feed.server.path, feed.token) as client:
            for request in (ListGames(1), JoinGame(2, "match-1")):
                assert (await client.ask(request)).code == ErrorCode.UNKNOWN_TYPE

    asyncio.run(scenario())


def test_a_list_has_an_answer_for_each_and_the_status_of_the_first_refusal(
    feed: Feed, market: Client
) -> None:
    nowhere = msgspec.structs.replace(event(2), game="nowhere")
    feed.post(event(3))
    other = msgspec.structs.replace(event(3), kind="other")
    status, answers = feed.post([event(1), nowhere, other, event(4)])
    assert status == 404
    assert [(answer["type"], answer["id"], answer.get("code")) for answer in answers] == [
        ("accepted", 0, None),
        ("error", 1, 4040),
        ("error", 2, 4094),
        ("accepted", 3, None),
    ]
    assert arrived(market) == ["e3", "e1", "e4"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"{", {}, 422, "truncated"),
        (b"[]", {}, 422, "from 1 to 20"),
        ([event(number) for number in range(21)], {}, 422, "from 1 to 20"),
        (b'{"game":"match-1"}', {}, 422, "id"),
        (b'{"game":"match 1"}', {}, 422, "game"),
        ([event(1, "goal", **{f"x{number}": "y" * 200 for number in range(20)})], {}, 422, "4096 bytes"),
        (b" " * 9000, {}, 413, "8192 bytes"),
        (event(1), {"path": "/elsewhere"}, 404, "/events"),
        (event(1), {"token": "a.b.c"}, 401, "token"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    feed: Feed, market: Client, body: Any, headers: dict[str, str], status: int, told: str
) -> None:
    answered, error = feed.post(body, **headers)
    error = error[0] if isinstance(error, list) else error
    assert (answered, error["type"]) == (status, "error")
    assert told in error["message"]
    assert arrived(market) == []


def test_a_user_may_tell_nothing(feed: Feed, market: Client, signer: Signer) -> None:
    status, error = feed.post(event(1), token=signer.issue("user-1", 60))
    assert (status, error["code"]) == (403, ErrorCode.NOT_ALLOWED)
    assert arrived(market) == []


def head(token: str, *lines: str) -> bytes:
    return "\r\n".join(
        ["POST /events HTTP/1.1", "Host: market", f"Authorization: Bearer {token}", *lines, "", ""]
    ).encode()


MISBEHAVIOUR: list[tuple[Callable[[str], bytes], bytes]] = [
    (lambda _: b"POST \0 HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
    (lambda _: b"POST /events HTTP/1.1\r\nHost: m\r\nX: " + b"y" * 20_000, b"HTTP/1.1 431 "),
    (lambda _: b"POST /events HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\n12345", b"HTTP/1.1 401 "),
    (lambda token: head(token, "Content-Length: 9999"), b"HTTP/1.1 413 "),
    (lambda token: head(token, "Transfer-Encoding: chunked") + b"2329\r\n" + b" " * 9001, b"HTTP/1.1 413 "),
    (lambda token: head(token, "Content-Length: 50") + b"{", b"HTTP/1.1 408 "),
    (lambda _: b"POST /ev", b"HTTP/1.1 408 "),
    (lambda _: b"PO", b""),
    (lambda _: b"", b""),
    (lambda _: b"\x00\x01\x02\r\n\r\n", b""),
]


def test_a_client_that_misbehaves_is_told_and_cut_off(feed: Feed, market: Client) -> None:
    with contextlib.ExitStack() as stack:
        clients = []
        for send, _ in MISBEHAVIOUR:
            client = stack.enter_context(feed.opened())
            client.sendall(send(feed.token))
            clients.append(client)
        answers = [everything_of(client) for client in clients]
    for (_, expected), answer in zip(MISBEHAVIOUR, answers, strict=True):
        assert answer.startswith(expected), (expected, answer)
        assert bool(answer) == bool(expected)
    assert arrived(market) == []
    assert "Traceback" not in feed.server.command.log()


def test_requests_that_come_together_are_answered_in_order(feed: Feed, market: Client) -> None:
    bodies = [encode(event(number)) for number in range(1, 6)]
    requests = [head(feed.token, f"Content-Length: {len(body)}") + body for body in bodies]
    last = head(feed.token, "Content-Length: 2", "Connection: close") + b"[]"
    with feed.opened() as client:
        client.sendall(b"".join(requests) + last)
        answer = everything_of(client)
    assert answer.count(b"HTTP/1.1 200 ") == 5
    assert answer.count(b"HTTP/1.1 422 ") == 1
    assert arrived(market) == [f"e{number}" for number in range(1, 6)]


def test_a_client_may_ask_before_it_sends_a_body(feed: Feed, market: Client) -> None:
    body = encode(event(1))
    lines = (f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close")
    with feed.opened() as client:
        client.sendall(head(feed.token, *lines))
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_more_connections_than_it_may_have_are_sent_away(feed: Feed, market: Client) -> None:
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(feed.opened()) for _ in range(33)]
        assert everything_of(waiting[-1]).startswith(b"HTTP/1.1 503 ")
    until(feed.server.healthy, "room")


def test_it_ends_its_connections_and_itself(
    tmp_path: Path,
    master: RedisServer,
    password_file: Path,
    token_key_file: Path,
    market: Client,
    signer: Signer,
) -> None:
    with serving(tmp_path, "feed", bounded(master, password_file, token_key_file)) as own:
        feed = Feed(own, UnixHttp(own.path), signer.issue("feed-1", 600, scope="feed"))
        with contextlib.closing(feed.http):
            assert feed.post([event(number) for number in range(1, 20)])[0] == 200
            own.command.process.send_signal(signal.SIGTERM)
            assert own.command.process.wait(15) == 0
            assert feed.http.sock is not None
            assert feed.http.sock.recv(1) == b""
        assert not own.path.exists()
