"""The feed: takes what happens in the matches, by WebSocket as an API process does, and by HTTP.

`POST /events` has one event as its JSON body, or a list of them. Each event counts once, so that a feed that
is not sure repeats what it sent. The answer has the status of the first event that was refused, 200 when none
was, and in its body an answer for each event: the protocol's `accepted` or `error`, whose `id` is the event's
place in the list.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, cast

from market.connection import Connection
from market.event_requests import EventRequests
from market.protocol import Authenticate, SubmitEvent
from market.server import Api
from market.settings import Settings

_log = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
_POST: Final = b"POST "
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"
)


class Feed:
    """One feed process: its connections share an `Api` that takes events only."""

    def __init__(self, settings: Settings) -> None:
        self.api = Api(settings, (Authenticate, SubmitEvent))
        self.settings = settings.feed
        self.draining = False
        self._clients: set[Client] = set()
        self._empty: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Begin to connect to the data; does not wait for it."""
        await self.api.start()

    def connection(self) -> asyncio.Protocol:
        """A new client, whatever it speaks."""
        return Client(self)

    async def drain(self) -> None:
        """Answer what was asked, close every connection and let go of the data."""
        self.draining = True
        for client in list(self._clients):
            client.drain()
        if self._clients:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._empty,), timeout=DRAIN_S)
        for client in list(self._clients):
            client.cut_off()
        await self.api.drain()

    def connected(self, client: Client) -> bool:
        """A client came; whether there is room for it."""
        if self.draining or len(self._clients) >= self.settings.max_connections:
            return False
        self._clients.add(client)
        return True

    def disconnected(self, client: Client) -> None:
        """A client is gone, or is a WebSocket's from now on."""
        self._clients.discard(client)
        if not self._clients and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)


class Client(asyncio.Protocol):
    """A client: what it begins with tells whether it posts events or opens a WebSocket."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._begun = b""
        self._requests: EventRequests | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._feed.connected(self):
            self._transport.write(_FULL)
            self._transport.close()
            return
        self._timer = asyncio.get_running_loop().call_later(
            self._feed.settings.request_timeout_s, self.cut_off
        )

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._requests is not None:
            self._requests.receive(data)
            return
        self._begun += data
        if self._begun.startswith(_POST):
            self._timer.cancel()
            self._requests = EventRequests(self._feed, self._transport)
            self._requests.receive(self._begun)
        elif not _POST.startswith(self._begun):
            self._leave()
            websocket = Connection(self._feed.api)
            self._transport.set_protocol(websocket)
            websocket.connection_made(self._transport)
            websocket.data_received(self._begun)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._requests is not None:
            self._requests.end()
        self._leave()

    def drain(self) -> None:
        """Go when what was asked is answered."""
        if self._requests is None or self._requests.idle:
            self._transport.close()

    def cut_off(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def _leave(self) -> None:
        if hasattr(self, "_timer"):
            self._timer.cancel()
        self._feed.disconnected(self)
