"""What an ended connection leaves behind: nothing that only a garbage collection would find.

A process freezes its heap now and then, and what is frozen is never collected.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from websockets.exceptions import InvalidStatus

from market import server
from market.connection import Connection
from market.connection_settings import Limits
from market.handshakes import WireProtocol
from market.http.connection import HttpConnection
from market.protocol import CloseCode, GetAccount
from market.seed import seed
from market.server import Api
from market.sessions import Session
from market.tokens import load_signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import RedisServer
from tests.service.shared_api import settings_without_sql

COUNTED = (Connection, Session, WireProtocol, HttpConnection)

Use = Callable[[Path, str], Awaitable[None]]


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in COUNTED)


async def plays(path: Path, token: str) -> None:
    async with connected(path, token, by_message=True) as client:
        await client.ask(JOIN)
        await client.ask(prediction(1))


async def leaves_requests_behind(path: Path, token: str) -> None:
    async with connected(path, token) as client:
        await client.ask(JOIN)
        for number in range(20):
            await client.send(GetAccount(number))
        client.socket.transport.abort()


async def is_refused(path: Path, token: str) -> None:
    forged = token[:-4] + "AAAA"
    for shown, protocol in (("no.token.", "market.v2"), (forged, "market.v2"), (token, "market.v0")):
        with contextlib.suppress(InvalidStatus):
            async with connected(path, shown, subprotocol=protocol):
                raise AssertionError("it was let in")


async def sends_garbage(path: Path, token: str) -> None:
    async with connected(path, token) as client:
        await client.send(b"\xff")
        assert await client.closed() == CloseCode.UNSUPPORTED_DATA


async def asks_by_http(path: Path, token: str) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    for target, shown in (("/livez", ""), ("/v2/games", token), ("/v2/games", token[:-4] + "AAAA")):
        writer.write(f"GET {target} HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {shown}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split()[0]
        await reader.readexactly(int(length))
    writer.write(b"GET /\0 HTTP/1.1\r\n\r\n")
    while await reader.read(65_536):
        pass
    writer.close()


@pytest.mark.parametrize("use", [plays, leaves_requests_behind, is_refused, sends_garbage, asks_by_http])
def test_a_connection_that_ended_is_freed_without_a_garbage_collection(
    master: RedisServer,
    password_file: Path,
    token_key_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use: Use,
) -> None:
    monkeypatch.setattr(server, "SETTLED_TICKS", 10_000)  # no collection by the process itself
    settings = settings_without_sql(
        master,
        password_file,
        token_key_file,
        authenticate_timeout_s=0.5,
        limits=Limits(handshake_timeout_s=0.5),
    )
    seed(settings, users=1, balance=1000)
    signer = load_signer(str(token_key_file))

    async def scenario() -> Counter[str]:
        api = Api(settings)
        await api.start()
        path = tmp_path / "api.sock"
        loop = asyncio.get_running_loop()
        listener = await loop.create_unix_server(lambda: Connection(api), str(path))
        try:
            for _ in range(3):
                await use(path, signer.issue("user-1", 60))
            for _ in range(100):
                await asyncio.sleep(0.05)
                if not alive():
                    break
            return alive()
        finally:
            listener.close()
            await api.drain()

    gc.collect()
    before = alive()
    assert not before
    gc.disable()
    try:
        assert uvloop.run(scenario()) == {}
    finally:
        gc.enable()
