"""A small real WebSocket server that speaks the market's protocol, with faults on demand."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from market import protocol
from market.protocol import SUBPROTOCOL, Distribution, PlacePrediction

POOL = "winner"


@dataclass
class Faults:
    """What the server does wrong; by default nothing.

    `refused` users get a 403, `hung` users no answer to their upgrade, `late_s` users one after that time,
    `kicked` users a close with that code when they join (1006: the connection is cut). `answer` gives a
    prediction's reply, or none. `deliver` says how often a user gets the broadcast of an offset.
    """

    refused: frozenset[str] = frozenset()
    hung: frozenset[str] = frozenset()
    late_s: dict[str, float] = field(default_factory=dict)
    kicked: dict[str, int] = field(default_factory=dict)
    answer: Callable[[PlacePrediction], protocol.ServerMessage | None] | None = None
    deliver: Callable[[str, int], int] | None = None


@dataclass
class Market:
    """What the server has seen."""

    url: str
    ca_file: Path
    connections: dict[str, float] = field(default_factory=dict)
    placed: list[tuple[str, PlacePrediction]] = field(default_factory=list)
    published_us: list[int] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed ECDSA certificate for localhost and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = "-addext subjectAltName=DNS:localhost"
    subprocess.run(
        ["openssl", *request.split(), *names.split(), "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return cert, key


@asynccontextmanager
async def market_server(
    certificate: tuple[Path, Path],
    faults: Faults | None = None,
    *,
    broadcast_s: float = 0.2,
    audience: int = 1,
    released: bool = True,
) -> AsyncIterator[Market]:
    """The server on a free port.

    It broadcasts once that many users have joined, and answers predictions once `released` is set.
    """
    faults = faults or Faults()
    cert, key = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    market = Market("", cert)
    if released:
        market.released.set()
    joined: dict[ServerConnection, str] = {}
    started = asyncio.Event()
    closing = asyncio.Event()
    replies: set[asyncio.Task[None]] = set()

    async def check(connection: ServerConnection, request: Request) -> Response | None:
        user = request.headers["Authorization"].removeprefix("Bearer token-of-")
        if user in faults.refused:
            return connection.respond(HTTPStatus.FORBIDDEN, "no\n")
        if user in faults.hung:
            await closing.wait()
        await asyncio.sleep(faults.late_s.get(user, 0))
        connection.username = user
        return None

    async def handle(connection: ServerConnection) -> None:
        user = connection.username
        market.connections[user] = time.time()
        try:
            async for data in connection:
                message = protocol.decode_client(data)
                if isinstance(message, protocol.JoinGame) and user in faults.kicked:
                    await kick(connection, faults.kicked[user])
                    return
                if isinstance(message, PlacePrediction):
                    market.placed.append((user, message))
                    task = asyncio.create_task(answer(connection, message))
                    replies.add(task)
                    task.add_done_callback(replies.discard)
                elif (reply := _reply(message, faults)) is not None:
                    await connection.send(protocol.encode(reply), text=True)
                if isinstance(message, protocol.JoinGame):
                    joined[connection] = user
                    if len(joined) >= audience:
                        started.set()
        except ConnectionClosed:
            return
        finally:
            joined.pop(connection, None)

    async def kick(connection: ServerConnection, code: int) -> None:
        if code == 1006:
            connection.transport.abort()
        else:
            await connection.close(code)

    async def answer(connection: ServerConnection, message: PlacePrediction) -> None:
        await market.released.wait()
        if (reply := _reply(message, faults)) is not None:
            with suppress(ConnectionClosed):
                await connection.send(protocol.encode(reply), text=True)

    async def publish() -> None:
        await started.wait()
        while True:
            await asyncio.sleep(broadcast_s)
            market.published_us.append(time.time_ns() // 1000)
            offset = len(market.published_us)
            message = Distribution("match-1", POOL, 1, offset, market.published_us[-1], [1, 2, 3], 3)
            for connection, user in joined.items():
                for _ in range(faults.deliver(user, offset) if faults.deliver else 1):
                    broadcast([connection], protocol.encode(message).decode())

    server: Server
    async with serve(
        handle,
        "127.0.0.1",
        0,
        ssl=tls,
        compression=None,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        process_request=check,
        open_timeout=None,
        close_timeout=0.5,
    ) as server:
        sockets = list(server.sockets)
        market.url = f"wss://localhost:{sockets[0].getsockname()[1]}/ws"
        publisher = asyncio.create_task(publish())
        try:
            yield market
        finally:
            publisher.cancel()
            closing.set()
            for task in list(replies):
                task.cancel()


def _reply(message: protocol.ClientMessage, faults: Faults) -> protocol.ServerMessage | None:
    match message:
        case protocol.ListGames(id=number):
            return protocol.Games(number, [protocol.Game("match-1", "Final", "live")])
        case protocol.JoinGame(id=number, game=game):
            return protocol.Joined(number, game)
        case protocol.ListPools(id=number, game=game):
            options = ["home", "draw", "away"]
            return protocol.Pools(
                number, game, [protocol.Pool(POOL, "Who wins?", "open", options, [0] * 3, 0, 0, 0)]
            )
        case PlacePrediction(id=number, pool=pool, key=key):
            if faults.answer:
                return faults.answer(message)
            return protocol.Placed(number, pool, key, 1, "1-0", 1000, duplicate=False)
        case _:
            return None
