"""An API process: its health, its socket, what it speaks, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import stat

import msgspec
import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from market.protocol import (
    CloseCode,
    ErrorCode,
    JoinGame,
    ListGames,
    Placed,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, end, free_port, until


def test_health_names_what_cannot_be_reached(serve: Serve, settings: Settings, market: Client) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    server = serve(msgspec.structs.replace(settings, redis_master=nowhere), wait=False)
    until(server.path.exists, "the socket")
    status, reason = server.get("/healthz")
    assert status == 503
    assert reason.startswith("redis-master: ")
    assert server.get("/elsewhere")[0] == 404


def test_a_handshake_does_not_wait_for_the_data(serve: Serve, settings: Settings, signer: Signer) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    server = serve(msgspec.structs.replace(settings, redis_master=nowhere, redis_read=nowhere), wait=False)
    until(server.path.exists, "the socket")

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            error = await client.ask(ListGames(1))
            assert (error.id, error.code) == (1, ErrorCode.UNAVAILABLE)
            error = await client.ask(JoinGame(2, "match-1"))
            assert (error.id, error.code) == (2, ErrorCode.UNAVAILABLE)

    asyncio.run(scenario())


def test_the_socket_takes_the_place_of_a_stale_one_and_anybody_may_connect(
    serve: Serve, settings: Settings, market: Client
) -> None:
    first = serve(settings)
    first.command.process.kill()
    first.command.process.wait()
    assert first.path.is_socket()
    command = first.command
    second = serve(settings)
    second.path.rename(first.path)
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o666
    assert command.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_a_storm_waits_to_be_accepted_while_the_process_does_something_else(
    serve: Serve, settings: Settings, market: Client, family: str
) -> None:
    server = serve(settings, listen=f"127.0.0.1:{free_port()}" if family == "tcp" else None)
    server.command.process.send_signal(signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(server.connect())  # fails when nobody may wait any more
    finally:
        server.command.process.send_signal(signal.SIGCONT)
    assert server.healthy()


@pytest.mark.parametrize("protocols", [None, ["market.v0"]])
def test_another_protocol_is_not_spoken(
    serve: Serve, settings: Settings, market: Client, protocols: list[str] | None
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        with pytest.raises(InvalidStatus) as refusal:
            await unix_connect(
                str(server.path),
                "ws://market/ws",
                subprotocols=[Subprotocol(name) for name in protocols] if protocols else None,
            )
        assert refusal.value.response.status_code == 400

    asyncio.run(scenario())


def test_sigterm_sends_clients_away_and_ends_with_0(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(server.path, signer.issue(f"user-{n}", 60)))
                for n in range(70)
            ]
            for client in clients:
                await client.ask(JOIN)
            for number, client in enumerate(clients):
                await client.send(prediction(number))
            replies = await asyncio.gather(*(client.reply() for client in clients))
            assert all(isinstance(reply, Placed) for reply in replies)
            server.command.process.terminate()
            assert {await client.closed() for client in clients} == {CloseCode.GOING_AWAY}

    asyncio.run(scenario())
    assert server.command.process.wait(10) == 0
    assert not server.path.exists()


def test_a_client_that_does_not_answer_does_not_hold_up_the_end(
    serve: Serve, settings: Settings, market: Client
) -> None:
    server = serve(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.connect(str(server.path))
        assert end(server.command.process) == 0
