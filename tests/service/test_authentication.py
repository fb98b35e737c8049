"""How a client shows who it is, and what becomes of one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from market import keys
from market.connection_settings import Limits
from market.protocol import (
    Authenticate,
    Authenticated,
    CloseCode,
    ErrorCode,
    Games,
    ListGames,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import connected
from tests.service.conftest import Client, Serve, end


def test_a_token_may_come_by_message(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path) as client:
            refused = await client.ask(ListGames(1))
            assert (refused.id, refused.code) == (1, ErrorCode.UNAUTHENTICATED)
            answer = await client.ask(Authenticate(2, signer.issue("user-7", 60)))
            assert isinstance(answer, Authenticated)
            assert answer.user == "user-7"
            assert time.time() < answer.expires_at_s <= time.time() + 60
            assert isinstance(await client.ask(ListGames(3)), Games)
            other = await client.ask(Authenticate(4, signer.issue("user-8", 60)))
            assert other.code == ErrorCode.UNAUTHENTICATED
            assert await client.closed() == CloseCode.UNAUTHENTICATED

    asyncio.run(scenario())


def test_a_refused_token_closes_the_connection(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)
    expired = signer.issue("user-7", 60, now_s=int(time.time()) - 120)

    async def scenario() -> None:
        for token in ("nonsense", expired, Signer("x" * 32).issue("user-7", 60)):
            async with connected(server.path) as client:
                error = await client.ask(Authenticate(1, token))
                assert error.code == ErrorCode.UNAUTHENTICATED
                assert await client.closed() == CloseCode.UNAUTHENTICATED
            with pytest.raises(InvalidStatus) as refusal:
                async with connected(server.path, token):
                    pass
            assert refusal.value.response.status_code == 401

    asyncio.run(scenario())


def test_a_token_that_expires_has_to_be_renewed(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(
        msgspec.structs.replace(settings, token_leeway_s=0, limits=Limits(requests_per_user_per_s=0))
    )

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 1)) as client:
            answer = await client.ask(ListGames(1))
            async with asyncio.timeout(10):
                while isinstance(answer, Games):
                    answer = await client.ask(ListGames(1))
            assert answer.code == ErrorCode.UNAUTHENTICATED
            await client.ask(Authenticate(2, signer.issue("user-7", 60)))
            assert isinstance(await client.ask(ListGames(3)), Games)

    asyncio.run(scenario())


def test_who_shows_no_token_is_refused_a_few_times_noted_once_and_closed(
    serve: Serve, settings: Settings, market: Client
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path) as client:
            for number in range(12):
                await client.send(ListGames(number))
                await client.send("{}")
            assert [(await client.reply()).code for _ in range(3)] == [
                ErrorCode.UNAUTHENTICATED,
                ErrorCode.MALFORMED,
                ErrorCode.UNAUTHENTICATED,
            ]
            assert await client.closed() == CloseCode.TOO_MANY_ERRORS

    asyncio.run(scenario())
    assert "market_audit_strangers 2.0" in server.get("/metrics")[1]
    assert end(server.command.process) == 0
    bodies = [json.loads(fields[b"body"]) for _, fields in market.xrange(keys.JOURNAL)]
    assert [command[:3] for body in bodies for command in body if command[1].startswith("list")] == [
        ["", "list_games", ErrorCode.UNAUTHENTICATED]
    ]


def test_who_shows_no_token_in_time_is_closed(serve: Serve, settings: Settings, market: Client) -> None:
    server = serve(msgspec.structs.replace(settings, authenticate_timeout_s=0.5))

    async def scenario() -> None:
        async with connected(server.path) as client:
            assert await client.closed() == CloseCode.UNAUTHENTICATED

    asyncio.run(scenario())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
        slow.settimeout(10)
        slow.connect(str(server.path))
        slow.sendall(b"GET /ws HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""
