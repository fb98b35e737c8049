"""A client for the tests, on `websockets`' own asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.typing import Subprotocol

from market.protocol import (
    SUBPROTOCOL,
    Authenticate,
    Distribution,
    GameChanged,
    JoinGame,
    PlacePrediction,
    PoolChanged,
    Request,
    StateLost,
    decode_server,
    encode,
)

PUSHES = (Distribution, PoolChanged, GameChanged, StateLost)


class Client:
    """Sends requests and gets replies; pushes are kept apart in the order in which they came."""

    def __init__(self, socket: ClientConnection, patience_s: float = 30) -> None:
        self.socket = socket
        self._patience_s = patience_s
        self.pushes: list[Any] = []
        self._replies: asyncio.Queue[Any] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for data in self.socket:
            message = decode_server(data)
            if isinstance(message, PUSHES):
                self.pushes.append(message)
                self._arrived.set()
            else:
                self._replies.put_nowait(message)

    async def ask(self, request: Request | bytes | str) -> Any:
        """Send one message and get the next reply."""
        await self.send(request)
        return await self.reply()

    async def send(self, request: Request | bytes | str) -> None:
        await self.socket.send(encode(request).decode() if isinstance(request, Request) else request)

    async def reply(self) -> Any:
        return await asyncio.wait_for(self._replies.get(), self._patience_s)

    @property
    def distributions(self) -> list[Distribution]:
        """Those of the pushes that are distributions."""
        return [push for push in self.pushes if isinstance(push, Distribution)]

    async def push(self, count: int) -> Any:
        """The push of that number, counted from 1."""
        async with asyncio.timeout(self._patience_s):
            while len(self.pushes) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.pushes[count - 1]

    async def distribution(self, count: int) -> Distribution:
        """The distribution of that number, counted from 1."""
        async with asyncio.timeout(self._patience_s):
            while len(self.distributions) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.distributions[count - 1]

    async def distribution_of(self, predictions: int) -> Distribution:
        """The first distribution that counts so many predictions."""
        number = 1
        while (distribution := await self.distribution(number)).predictions < predictions:
            number += 1
        return distribution

    async def closed(self) -> int | None:
        """The code with which the server closed."""
        await asyncio.wait_for(self.socket.wait_closed(), 15)
        return self.socket.close_code

    async def end(self) -> None:
        await self.socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)


@contextlib.asynccontextmanager
async def connected(
    path: Path,
    token: str | None = None,
    *,
    by_message: bool = False,
    subprotocol: str | Sequence[str] = SUBPROTOCOL,
    address: str | None = None,
    request_id: str | None = None,
) -> AsyncIterator[Client]:
    """A client of the API at a socket; its token is shown in the upgrade request, or by a message.

    `subprotocol` may be several, the preferred one first. `address` and `request_id` are what nginx would say
    of where it comes from and what it is called.
    """
    headers = {"Authorization": f"Bearer {token}"} if token and not by_message else {}
    if address is not None:
        headers["X-Real-IP"] = address
    if request_id is not None:
        headers["X-Request-Id"] = request_id
    names = [subprotocol] if isinstance(subprotocol, str) else subprotocol
    socket = await unix_connect(
        str(path),
        "ws://market/ws",
        subprotocols=[Subprotocol(name) for name in names],
        additional_headers=headers,
        compression=None,
        ping_interval=None,
    )
    client = Client(socket)
    try:
        if token and by_message:
            await client.ask(Authenticate(0, token))
        yield client
    finally:
        await client.end()


def prediction(number: int, **changes: Any) -> PlacePrediction:
    """A correct prediction with its own key."""
    fields: dict[str, Any] = {
        "id": number,
        "game": "match-1",
        "pool": "winner",
        "option": 0,
        "stake": 10,
        "key": f"k{number}",
    }
    return PlacePrediction(**(fields | changes))


JOIN = JoinGame(1, "match-1")
