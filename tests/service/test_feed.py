"""A feed's process: events by WebSocket and by HTTP, each once, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market import keys
from market.protocol import (
    Accepted,
    ErrorCode,
    EventOutcome,
    EventsTaken,
    JoinGame,
    ListGames,
    SubmitEvent,
    SubmitEvents,
    encode,
)
from market.settings import FeedSettings
from market.tokens import Signer
from tests.service.administering import event, journal
from tests.service.client import connected
from tests.service.conftest import Client, RedisServer, Server
from tests.service.shared_api import running_api, settings_without_sql


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

    def post(self, body: Any, path: str = "/v2/events", *, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        self.http.request("POST", path, encode(body), headers)
        answer = self.http.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Server]:
    settings = settings_without_sql(master, password_file, token_key_file)
    settings = msgspec.structs.replace(settings, feed=FeedSettings(max_message_bytes=65_536))
    with running_api(settings, tmp_path_factory.mktemp("feed"), command="feed") as running:
        yield running


@pytest.fixture
def feed(server: Server, market: Client, signer: Signer) -> Iterator[Feed]:
    with contextlib.closing(UnixHttp(server.path)) as client:
        yield Feed(server, client, signer.issue("feed-1", 600, scopes=["feed"]))


def arrived(market: Client) -> list[str]:
    """The ids of the events in the order in which they were taken."""
    return [entry["body"]["event"]["id"] for entry in journal(market, "event")]


def test_events_are_taken_once_whatever_way_they_come(feed: Feed, market: Client) -> None:
    assert feed.post({"event": event(1)}) == (200, {"type": "accepted", "duplicate": False})
    assert feed.post({"event": event(1)}) == (200, {"type": "accepted", "duplicate": True})
    status, taken = feed.post({"events": [event(3), event(2), event(1)]}, "/v2/events/several")
    assert (status, [outcome["duplicate"] for outcome in taken["outcomes"]]) == (200, [False, False, True])

    async def scenario() -> None:
        async with connected(feed.server.path, feed.token) as client:
            assert await client.ask(SubmitEvent(5, event(2))) == Accepted(5, True)
            assert await client.ask(SubmitEvents(6, [event(4), event(3)])) == EventsTaken(
                6, [EventOutcome("e4", False), EventOutcome("e3", True)]
            )

    asyncio.run(scenario())
    assert arrived(market) == ["e1", "e3", "e2", "e4"]
    assert market.zrange(keys.apply("match-1"), 0, -1) == [b"e1", b"e2", b"e3", b"e4"]
    assert market.xlen(keys.EVENTS) == 4


def test_an_event_that_is_refused_does_not_hold_up_the_others(feed: Feed, market: Client) -> None:
    nowhere = msgspec.structs.replace(event(2), game="nowhere")
    long = msgspec.structs.replace(event(5), data={f"x{number}": "y" * 200 for number in range(20)})
    feed.post({"event": event(3)})
    other = msgspec.structs.replace(event(3), kind="other")
    status, taken = feed.post({"events": [event(1), nowhere, other, long, event(4)]}, "/v2/events/several")
    assert status == 200
    assert [(outcome["event"], outcome["code"]) for outcome in taken["outcomes"]] == [
        ("e1", None),
        ("e2", ErrorCode.NO_SUCH_GAME),
        ("e3", ErrorCode.EXISTS),
        ("e5", ErrorCode.MALFORMED),
        ("e4", None),
    ]
    assert "4096 bytes" in taken["outcomes"][3]["message"]
    assert arrived(market) == ["e3", "e1", "e4"]


def test_as_many_events_as_a_list_may_have_are_taken_at_once(feed: Feed, market: Client) -> None:
    events = [event(number) for number in range(500)]
    status, taken = feed.post({"events": events}, "/v2/events/several")
    assert (status, len(taken["outcomes"])) == (200, 500)
    assert arrived(market) == [each.id for each in events]
    status, error = feed.post({"events": [*events, event(500)]}, "/v2/events/several")
    assert (status, error["code"]) == (400, ErrorCode.MALFORMED)


def test_a_feed_answers_nothing_else(feed: Feed, market: Client) -> None:
    async def scenario() -> None:
        async with connected(feed.server.path, feed.token) as client:
            for request in (ListGames(1), JoinGame(2, "match-1")):
                assert (await client.ask(request)).code == ErrorCode.UNKNOWN_TYPE

    asyncio.run(scenario())
    assert feed.post({}, "/v2/account/deposits")[0] == 404


def test_who_may_not_tells_nothing(feed: Feed, market: Client, signer: Signer) -> None:
    for path, body in (("/v2/events", {"event": event(1)}), ("/v2/events/several", {"events": [event(1)]})):
        status, error = feed.post(body, path, token=signer.issue("user-1", 60))
        assert (status, error["code"]) == (403, ErrorCode.NOT_ALLOWED)
        assert feed.post(body, path, token="a.b.c")[0] == 401
    assert arrived(market) == []


def test_it_ends_its_connections_and_itself(
    tmp_path: Path,
    master: RedisServer,
    password_file: Path,
    token_key_file: Path,
    market: Client,
    signer: Signer,
) -> None:
    with running_api(
        settings_without_sql(master, password_file, token_key_file), tmp_path, command="feed"
    ) as own:
        feed = Feed(own, UnixHttp(own.path), signer.issue("feed-1", 600, scopes=["feed"]))
        with contextlib.closing(feed.http):
            assert feed.post({"event": event(1)})[0] == 200
            own.command.process.send_signal(signal.SIGTERM)
            assert own.command.process.wait(15) == 0
            assert feed.http.sock is not None
            assert feed.http.sock.recv(1) == b""
        assert not own.path.exists()
