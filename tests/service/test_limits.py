"""What a user or an address may not do, and how it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from market.connection_settings import Limits
from market.protocol import (
    Authenticate,
    Authenticated,
    CloseCode,
    Error,
    ErrorCode,
    Games,
    Joined,
    JoinGame,
    ListGames,
    encode,
)
from market.seed import seed
from market.tokens import Signer, load_signer
from tests.service.client import JOIN, connected
from tests.service.conftest import RedisServer, Server
from tests.service.rfc6455.peer import CONT, PING, TEXT, Peer, frame, told, upgrade
from tests.service.shared_api import ask_http, running_api, settings_without_sql

Shared = tuple[Server, Signer]
BURST = 20


@pytest.fixture(scope="module")
def strict(
    directory: Path, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Shared]:
    """A process with limits that bite; each test has users and addresses of its own."""
    limits = Limits(
        requests_per_user_per_s=5,
        requests_per_address_per_s=6,
        connections_per_user_per_s=1,
        connections_per_address_per_s=2,
        burst_s=4,
        connections_per_user=3,
        games_per_connection=2,
    )
    settings = settings_without_sql(master, password_file, token_key_file, limits=limits)
    seed(settings, users=1, balance=1)
    with running_api(settings, directory) as server:
        yield server, load_signer(str(token_key_file))


@pytest.fixture(scope="module")
def impatient(
    directory: Path, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Shared]:
    """A process that waits for nobody for long."""
    limits = Limits(idle_timeout_s=1, keepalive_s=1, handshake_timeout_s=0.5, expiry_grace_s=1)
    settings = settings_without_sql(master, password_file, token_key_file, limits=limits, token_leeway_s=0)
    seed(settings, users=1, balance=1)
    with running_api(settings, directory) as server:
        yield server, load_signer(str(token_key_file))


async def until_refused(client: Any) -> tuple[int, Error]:
    """How many requests were answered before one was not, and how that one was."""
    for number in itertools.count(1):
        answer = await client.ask(ListGames(number))
        if isinstance(answer, Error):
            return number - 1, answer
    raise AssertionError


async def refusal(server: Server, *arguments: Any, **options: Any) -> Any:
    """How an upgrade request is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with connected(server.path, *arguments, **options):
            pass
    return refused.value.response


def test_a_user_who_asks_too_often_is_told_when_to_come_back(strict: Shared) -> None:
    server, signer = strict

    async def scenario() -> None:
        async with (
            connected(server.path, signer.issue("asking", 60)) as one,
            connected(server.path, signer.issue("asking", 60)) as same,
            connected(server.path, signer.issue("another", 60)) as other,
        ):
            for number in range(4):
                assert isinstance(await same.ask(ListGames(number)), Games)
            answered, error = await until_refused(one)
            assert answered >= BURST - 4
            assert (error.id, error.code) == (answered + 1, ErrorCode.RATE_LIMITED)
            assert error.retry_after_ms is not None
            assert 0 < error.retry_after_ms <= 200
            assert isinstance(await other.ask(ListGames(1)), Games)
            await asyncio.sleep(error.retry_after_ms / 1000)
            assert isinstance(await one.ask(ListGames(99)), Games)

    asyncio.run(scenario())


def test_an_address_has_a_rate_of_its_own(strict: Shared) -> None:
    server, signer = strict

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:

            async def client(user: str, address: str | None) -> Any:
                token = signer.issue(user, 60)
                return await stack.enter_async_context(connected(server.path, token, address=address))

            one, neighbour = await client("one", "192.0.2.1"), await client("neighbour", "192.0.2.1")
            elsewhere, unknown = await client("one", "192.0.2.2"), await client("unknown", None)
            for number in range(BURST - 8):
                await neighbour.ask(ListGames(number))
            answered, _ = await until_refused(one)
            assert answered < BURST
            assert (await neighbour.ask(ListGames(1))).code == ErrorCode.RATE_LIMITED
            for other in (elsewhere, unknown):
                assert isinstance(await other.ask(ListGames(1)), Games)

    asyncio.run(scenario())


def test_requests_over_http_count_with_the_others(strict: Shared) -> None:
    server, signer = strict
    token = signer.issue("everything", 60)

    async def ask() -> None:
        async with connected(server.path, token, address="192.0.2.9") as client:
            await until_refused(client)

    asyncio.run(ask())
    for user, address in (("everything", None), ("neighbour", "192.0.2.9")):
        for _ in range(BURST):
            response = ask_http(server.path, signer.issue(user, 60), address)
            if response.status == 429:
                break
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"
    assert ask_http(server.path, signer.issue("neighbour", 60), "192.0.2.10").status == 200


def test_addresses_are_limited_over_http_before_their_tokens_are_looked_at(strict: Shared) -> None:
    server, _ = strict
    statuses = [ask_http(server.path, "no.valid.token", "192.0.2.20").status for _ in range(30)]
    assert statuses[:8] == [401] * 8  # as many connections as may come at once
    assert statuses.count(401) <= 10
    assert set(statuses) == {401, 429}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(server.path))
        request = "GET /v2/games HTTP/1.1\r\nHost: market\r\nX-Real-IP: 192.0.2.21\r\n\r\n"
        client.sendall(
            request.encode() * 60 + b"GET /v3 HTTP/1.1\r\nConnection: close\r\nHost: market\r\n\r\n"
        )
        answer = b""
        while data := client.recv(65_536):
            answer += data
    assert 24 <= answer.count(b"HTTP/1.1 401") <= 30  # as many requests as may come at once
    assert answer.count(b"HTTP/1.1 429") >= 30
    strangers = re.search(r"market_audit_strangers (\d+)", server.get("/metrics")[1])
    assert strangers is not None
    assert int(strangers[1]) >= 30 + statuses.count(429)


FLOODS = {"pings": frame(PING, b"a") * 60, "fragments": frame(TEXT, fin=False) + frame(CONT, fin=False) * 60}


@pytest.mark.parametrize("flood", FLOODS)
def test_pings_and_fragments_count_as_requests(strict: Shared, flood: str) -> None:
    server, signer = strict
    with Peer(server.path) as peer:
        peer.open(upgrade(Authorization=f"Bearer {signer.issue(flood, 60)}"))
        peer.send(FLOODS[flood])
        *answers, last = [told(*one) for one in peer.frames()]
    assert last == f"close {CloseCode.TOO_MANY_ERRORS}"
    assert len(answers) <= BURST + 1


def test_new_connections_of_a_user_have_a_rate(strict: Shared) -> None:
    server, signer = strict
    token = signer.issue("coming-and-going", 60)

    async def scenario() -> None:
        for _ in range(4):
            async with connected(server.path, token):
                pass
        refused = await refusal(server, token)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        async with connected(server.path) as late:
            error = await late.ask(Authenticate(1, token))
            assert error.code == ErrorCode.RATE_LIMITED
            assert 0 < error.retry_after_ms <= 1000
            assert await late.closed() == CloseCode.TOO_MANY_ERRORS

    asyncio.run(scenario())


def test_new_connections_from_an_address_have_a_rate(strict: Shared) -> None:
    server, signer = strict

    async def shake(number: int, address: str) -> None:
        async with connected(server.path, signer.issue(f"guest-{number}", 60), address=address):
            pass

    async def scenario() -> None:
        for number in range(8):
            await shake(number, "2001:db8::1")
        refused = await refusal(server, signer.issue("guest-8", 60), address="2001:db8::2")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        await shake(9, "2001:db8:0:1::1")

    asyncio.run(scenario())


def test_one_connection_more_than_a_user_may_have_closes_the_oldest(strict: Shared) -> None:
    server, signer = strict
    token = signer.issue("everywhere", 60)

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:

            async def client(by_message: bool = False) -> Any:
                return await stack.enter_async_context(connected(server.path, token, by_message=by_message))

            first, second, third = await client(), await client(by_message=True), await client()
            assert isinstance(await first.ask(ListGames(1)), Games)
            fourth = await client()
            assert await first.closed() == CloseCode.REPLACED
            assert isinstance(await second.ask(Authenticate(2, token)), Authenticated)
            for one in (second, third, fourth):
                assert isinstance(await one.ask(ListGames(3)), Games)

    asyncio.run(scenario())


def test_a_connection_joins_so_many_games_and_no_more(strict: Shared, master: RedisServer) -> None:
    server, signer = strict
    with contextlib.closing(master.client()) as redis:
        for number in range(3):
            redis.hset("market:games", f"g{number}", f'{{"id":"g{number}","title":"","status":"live"}}')

    async def scenario() -> None:
        async with connected(server.path, signer.issue("joining", 60)) as client:
            answers = [await client.ask(JoinGame(number, f"g{number}")) for number in range(3)]
            assert [type(answer) for answer in answers] == [Joined, Joined, Error]
            assert answers[2].code == ErrorCode.TOO_MANY_REQUESTS

    asyncio.run(scenario())


def test_who_joins_nothing_and_asks_nothing_is_closed_and_who_listens_is_pinged(impatient: Shared) -> None:
    server, signer = impatient
    with Peer(server.path) as slow, Peer(server.path) as listening, Peer(server.path) as idle:
        slow.send(upgrade()[:-2])
        for peer in (listening, idle):
            peer.open(upgrade(Authorization=f"Bearer {signer.issue('quiet', 60)}"))
        listening.send(frame(TEXT, encode(JOIN)))
        heard = listening.frames()
        assert told(*next(heard)) == "joined 1"
        assert next(heard) == (0x89, b"")
        closes = [payload[:2] for first, payload in idle.frames() if first == 0x88]
        assert closes == [CloseCode.IDLE.to_bytes(2, "big")]
        assert next(heard) == (0x89, b"")
        assert slow.answer().status == 0


def test_a_token_that_expired_closes_the_connection_after_its_grace(impatient: Shared) -> None:
    server, signer = impatient

    async def scenario() -> None:
        async with (
            connected(server.path, signer.issue("late", 2)) as late,
            connected(server.path, signer.issue("renewed", 2)) as renewed,
        ):
            for client in (late, renewed):
                assert isinstance(await client.ask(JOIN), Joined)
            await renewed.ask(Authenticate(1, signer.issue("renewed", 60)))
            assert await late.closed() == CloseCode.UNAUTHENTICATED
            assert isinstance(await renewed.ask(ListGames(2)), Games)

    asyncio.run(scenario())
