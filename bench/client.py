"""One user's WebSocket: the `websockets` package's Sans-I/O client under a thin asyncio protocol.

No task per connection once it is open, no compression, no keepalive of its own (pings are answered).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from socket import AI_NUMERICHOST, SOCK_STREAM
from typing import Any, Final, Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from market.protocol import SUBPROTOCOL

RESOLVED_S: Final = 60.0
"""How long a resolved name is used before it is asked for again: a record's usual time to live (s)."""

MAX_MESSAGE_BYTES: Final = 2**20
ABNORMAL_CLOSURE: Final = 1006

Data = bytes | bytearray | memoryview


class Listener(Protocol):
    """Who is told what happens on a connection; times are of `time.monotonic_ns`."""

    def opened(self, now_ns: int) -> None:
        """The server upgraded the connection."""

    def message(self, data: Data, now_ns: int) -> None:
        """A text message arrived."""

    def closed(self, code: int) -> None:
        """An open connection ended, with this close code."""


class Target:
    """Where the users connect: resolves the name once for all of them, and holds the TLS context."""

    def __init__(self, url: str, ca_file: str) -> None:
        self.uri: Final[WebSocketURI] = parse_uri(url)
        self.tls: Final = _tls(ca_file) if self.uri.secure else None
        self._lookup: asyncio.Future[list[str]] | None = None
        self._looked_up_s = 0.0

    async def addresses(self) -> list[str]:
        """The server's addresses, from the system's resolver or as it answered within the last minute.

        Raises:
            OSError: when the name cannot be resolved.
        """
        now_s = time.monotonic()
        if self._lookup is None or now_s - self._looked_up_s > RESOLVED_S or _failed(self._lookup):
            self._looked_up_s = now_s
            self._lookup = asyncio.ensure_future(self._resolve())
        return await asyncio.shield(self._lookup)

    async def _resolve(self) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(self.uri.host, self.uri.port, type=SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Connection(asyncio.Protocol):
    """A user's connection, from the upgrade request to the end.

    Args:
        target: where it goes.
        token: shown in the upgrade request.
        listener: is told what arrives.
    """

    __slots__ = (
        "_listener",
        "_opening",
        "_parts",
        "_protocol",
        "_target",
        "_token",
        "_transport",
        "upgraded",
    )

    def __init__(self, target: Target, token: str, listener: Listener) -> None:
        self._target = target
        self._token = token
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._protocol = ClientProtocol(
            target.uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_MESSAGE_BYTES
        )
        self._opening: asyncio.Future[None] | None = None
        self.upgraded = False

    async def open(self, timeout_s: float) -> None:
        """Connect, secure and upgrade; the listener is told when the server's 101 arrives.

        Each of the name's addresses is tried in turn until one takes the connection.

        Raises:
            TimeoutError: not open within the time.
            OSError: not resolved, refused, or the certificate is not valid.
            InvalidHandshake: the server did not upgrade the connection.
        """
        loop = asyncio.get_running_loop()
        self._opening = loop.create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._connect(loop)
                await self._opening
        except BaseException:
            if not self.upgraded:
                self.abort()
                raise
        finally:
            self._opening = None
            self._token = ""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN and self._transport is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection still, open or closing."""
        return self._transport is not None

    def send(self, data: bytes) -> None:
        """Send a text message."""
        self._protocol.send_text(data)
        self._flush()

    def close(self) -> None:
        """Begin the closing handshake."""
        if self.is_open:
            self._protocol.send_close(1000)
            self._flush()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand on what is complete, and answer what the protocol answers by itself."""
        now_ns = time.monotonic_ns()
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event, now_ns)
            elif isinstance(event, Response):
                self._answered(now_ns)
        if protocol.writes:
            self._flush()

    def eof_received(self) -> None:
        """The server sends no more."""
        self._protocol.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, expected or not."""
        self._transport = None
        self._protocol.receive_eof()
        if self.upgraded:
            self._listener.closed(self._protocol.close_code or ABNORMAL_CLOSURE)
        elif self._opening is not None and not self._opening.done():
            self._opening.set_exception(exc or ConnectionResetError("closed before the upgrade"))

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        uri = self._target.uri
        options: dict[str, Any] = {"ssl": self._target.tls, "server_hostname": uri.host} if uri.secure else {}
        *others, last = await self._target.addresses()
        for address in others:
            try:
                await loop.create_connection(lambda: self, address, uri.port, flags=AI_NUMERICHOST, **options)
            except ConnectionRefusedError:
                continue
            return
        await loop.create_connection(lambda: self, last, uri.port, flags=AI_NUMERICHOST, **options)

    def _answered(self, now_ns: int) -> None:
        if self._opening is None or self._opening.done():
            return
        if refusal := self._protocol.handshake_exc:
            self._opening.set_exception(refusal)
        else:
            self.upgraded = True
            self._opening.set_result(None)
            self._listener.opened(now_ns)

    def _frame(self, frame: Frame, now_ns: int) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._listener.message(frame.data, now_ns)
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                self._listener.message(whole, now_ns)
        elif frame.opcode is Opcode.CLOSE:
            self._flush()
            close = self._protocol.close_rcvd
            self._listener.closed(close.code if close else ABNORMAL_CLOSURE)
            if self._transport is not None:
                self._transport.close()

    def _flush(self) -> None:
        transport = self._transport
        for data in self._protocol.data_to_send():
            if transport is None:
                return
            if data:
                transport.write(data)
            else:
                transport.close()


def reason(error: BaseException) -> str:
    """Why a connection did not open, as it is counted: the error's name, or the HTTP status."""
    if isinstance(error, InvalidStatus):
        return f"http:{error.response.status_code}"
    return f"connect:{type(error).__name__}"


def _failed(lookup: asyncio.Future[list[str]]) -> bool:
    return lookup.done() and not lookup.cancelled() and lookup.exception() is not None


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
