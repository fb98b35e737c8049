"""A user who connects to a guest over TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Final

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from market.protocol import SUBPROTOCOL
from tests.service.client import Client

HTTPS_PORT: Final = 18443


@contextlib.asynccontextmanager
async def connected(name: str, token: str, authority: str, port: int = HTTPS_PORT) -> AsyncIterator[Client]:
    """A client of the node that answers to `name`, whose certificate `authority` has signed."""
    socket = await connect(
        f"wss://{name}:{port}/ws",
        host="127.0.0.1",
        port=port,
        server_hostname=name,
        ssl=ssl.create_default_context(cadata=authority),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        ping_interval=None,
        open_timeout=20,
    )
    client = Client(socket)
    try:
        yield client
    finally:
        await client.end()
