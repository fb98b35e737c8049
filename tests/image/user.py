"""Users who connect to a guest over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from market.protocol import SUBPROTOCOL, Placed
from market.tokens import Signer
from tests.image.cloud import Machine
from tests.service.client import JOIN, Client, prediction

HTTPS_PORT: Final = 18443
THINK_S: Final = 0.2
"""How long a user waits before the next prediction."""

PATIENCE_S: Final = 60.0


def token(node: Machine, who: str = "user-0") -> str:
    """A token that holds already by the guest's clock, which nothing sets here."""
    return Signer(node.values["token-key"]).issue(who, 7200, now_s=int(time.time()) - 300)


@contextlib.asynccontextmanager
async def connected(node: Machine, who: str = "user-0", port: int = HTTPS_PORT) -> AsyncIterator[Client]:
    """A user of a node, whose certificate has to be one that its stack's authority has signed."""
    socket = await connect(
        f"wss://{node.name}:{port}/ws",
        host="127.0.0.1",
        port=port,
        server_hostname=node.name,
        ssl=ssl.create_default_context(cadata=node.authority),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers={"Authorization": f"Bearer {token(node, who)}"},
        compression=None,
        ping_interval=None,
        open_timeout=PATIENCE_S,
    )
    client = Client(socket, PATIENCE_S)
    try:
        yield client
    finally:
        await client.end()


async def predict(node: Machine, who: str, number: int) -> int:
    """Predict once; how many predictions the distribution has that comes then."""
    async with connected(node, who) as client:
        await client.ask(JOIN)
        await client.ask(prediction(number))
        return (await client.distribution_of(number)).predictions


class Stay:
    """A user who predicts again and again until the server closes; `code` is the one it closed with."""

    def __init__(self, client: Client) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.code: int | None = None
        self._client = client
        self._moved = asyncio.Condition()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._client.ask(JOIN)
            while await self._place():  # noqa: ASYNC110 - a user's own time, not a wait for anything
                await asyncio.sleep(THINK_S)
        await self._client.socket.wait_closed()
        self.code = self._client.socket.close_code

    async def _place(self) -> bool:
        self.sent += 1
        asked = asyncio.ensure_future(self._client.ask(prediction(1000 + self.sent)))
        closed = asyncio.ensure_future(self._client.socket.wait_closed())
        await asyncio.wait((asked, closed), return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if not asked.done():
            asked.cancel()
            return False
        assert isinstance(asked.result(), Placed)
        async with self._moved:
            self.acknowledged += 1
            self._moved.notify_all()
        return True

    async def acknowledges(self, more: int) -> None:
        """Wait until so many more of its predictions are acknowledged."""
        wanted = self.acknowledged + more
        async with asyncio.timeout(PATIENCE_S), self._moved:
            await self._moved.wait_for(lambda: self.acknowledged >= wanted or self._task.done())
        assert self.acknowledged >= wanted, "the user was sent away"

    async def ended(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the server has closed."""
        await asyncio.wait_for(asyncio.shield(self._task), timeout_s)

    async def end(self) -> None:
        """Go, if still there."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def staying(node: Machine, who: str) -> AsyncIterator[Stay]:
    """A user who stays on a node."""
    async with connected(node, who) as client:
        stay = Stay(client)
        try:
            yield stay
        finally:
            await stay.end()
