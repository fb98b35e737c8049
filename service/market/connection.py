"""One client's WebSocket: bytes in, messages out, and what is done about a client that misbehaves.

The protocol itself is `websockets`' Sans-I/O one; this is the thin layer between it and the event loop. There
is no task and no timer per connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, cast

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from market.history import Sending
from market.http.connection import HttpConnection
from market.protocol import SUBPROTOCOLS, CloseCode
from market.sessions import Session
from market.tokens import TokenError

if TYPE_CHECKING:
    from market.server import Api

_log = logging.getLogger(__name__)

UPGRADE: Final = b"GET /ws"
"""How every request begins that asks for a WebSocket; all others are plain HTTP."""

MAX_HANDSHAKE_BYTES: Final = 16_384
MAX_FRAGMENTS: Final = 64
HIGH_WATER_BYTES: Final = 16_384
"""What waits to be sent before distributions are kept back, the latest of each pool only."""

_quiet: Final = logging.getLogger("market.websockets")
_quiet.setLevel(logging.CRITICAL)
_finished: Final[Generator[None]] = (None for _ in ())


class Connection(asyncio.Protocol):
    """A client's connection, from the bytes of its handshake to its end."""

    __slots__ = (
        "_api",
        "_fragments",
        "_handshake_bytes",
        "_held_back",
        "_opening",
        "_transport",
        "_wire",
        "deadline",
        "paused_at",
        "session",
    )

    def __init__(self, api: Api) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._wire = ServerProtocol(
            subprotocols=[Subprotocol(name) for name in SUBPROTOCOLS],
            max_size=api.settings.max_message_bytes,
            logger=_quiet,
        )
        self.session = Session(self, api)
        self._fragments: list[bytes] | None = None
        self._handshake_bytes = 0
        self._opening: bytes | None = b""
        self._held_back: dict[object, bytes] | None = None
        self.paused_at: int | None = None
        """The tick at which the client stopped to drain what it is sent, None while it does."""
        self.deadline: int | None = None
        """The tick at which a connection that is being closed is cut off."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._wire.state is OPEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(
            high=min(HIGH_WATER_BYTES, self._api.settings.max_send_queue_bytes)
        )
        self._api.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._api.disconnected(self)
        self.session.end()
        self._transport = None
        self._held_back = None
        self._wire.parser = _finished  # breaks the one cycle, so that no garbage collection is needed

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._transport is None:
            return
        if self._opening is not None:
            data, self._opening = self._opening + data, None
            if not data.startswith(UPGRADE):
                if UPGRADE.startswith(data):
                    self._opening = data
                else:
                    self._hand_over(self._transport, data)
                return
        if self._wire.state is CONNECTING and not self._wire.eof_sent:
            self._handshake_bytes += len(data)
            if self._handshake_bytes > MAX_HANDSHAKE_BYTES:
                self._respond(
                    self._wire.reject(431, f"send at most {MAX_HANDSHAKE_BYTES} bytes of headers\n")
                )
                self._write_out()
                return
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)
            elif isinstance(event, Request):
                self._on_request(event)
        self._write_out()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self._wire.receive_eof()
        self._write_out()
        return False

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._api.paused(self)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.paused_at = None
        if self._held_back and self._transport is not None and self.is_open:
            held_back, self._held_back = self._held_back, None
            self._transport.writelines(held_back.values())

    def send(self, frame: bytes) -> None:
        """Send a reply; replies are never dropped, a client that leaves too many of them is closed."""
        if self._transport is not None and self.is_open:
            self._transport.write(frame)
            if self.paused_at is not None:
                self._check_queue()

    def offer(self, sending: Sending) -> None:
        """Send a push; to a client that does not drain, of each pool's distributions only the latest."""
        if self._transport is None or not self.is_open:
            return
        if sending.pool is None and self.version == 1:
            return
        if self.paused_at is None:
            self._transport.write(sending.frame)
        else:
            if self._held_back is None:
                self._held_back = {}
            key = sending.pool or sending.position
            self._held_back.pop(key, None)
            self._held_back[key] = sending.frame
            self._check_queue()

    @property
    def version(self) -> int:
        """The version of the protocol that was agreed on."""
        return 1 if self._wire.subprotocol == SUBPROTOCOLS[1] else 2

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin to close; the connection is cut off when the client does not answer."""
        if self._transport is not None and self.is_open:
            self._wire.send_close(code, reason)
            self._held_back = None
            self._api.linger(self)
            self._write_out()

    def cut_off(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Leave the connection to plain HTTP."""
        self._api.disconnected(self)
        self.session.end()
        self._transport = None
        self._wire.parser = _finished
        http = HttpConnection(self._api)
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    def _on_request(self, request: Request) -> None:
        if request.path.partition("?")[0] != "/ws":
            self._respond(self._wire.reject(404, "the market is at /ws\n"))
        elif (refusal := self._api.refusal()) is not None:
            self._respond(self._wire.reject(503, refusal + "\n"))
        else:
            authorization = request.headers.get_all("Authorization")
            if authorization:
                scheme, _, token = authorization[0].partition(" ")
                try:
                    if scheme.lower() != "bearer" or len(authorization) > 1:
                        raise TokenError("show one token: Authorization: Bearer TOKEN")
                    self.session.identify(token.strip())
                except TokenError as error:
                    response = self._wire.reject(401, f"{error}\n")
                    response.headers["WWW-Authenticate"] = 'Bearer realm="market"'
                    self._respond(response)
                    return
            self._respond(self._wire.accept(request))

    def _respond(self, response: Response) -> None:
        if response.status_code == 101:
            response.headers = Headers(
                (name, value)
                for name, value in response.headers.raw_items()
                if name not in ("Date", "Server")
            )
        self._wire.send_response(response)

    def _on_frame(self, frame: Frame) -> None:
        if not self.is_open or frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            return
        if frame.opcode is Opcode.BINARY:
            self.close(CloseCode.UNSUPPORTED_DATA, "send text messages")
        elif frame.opcode is Opcode.TEXT and frame.fin:
            self.session.receive(bytes(frame.data))
        else:
            self._on_fragment(frame)

    def _on_fragment(self, frame: Frame) -> None:
        if self._fragments is None:
            self._fragments = []
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            message, self._fragments = b"".join(self._fragments), None
            self.session.receive(message)
        elif len(self._fragments) >= MAX_FRAGMENTS:
            self._fragments = None
            self.close(CloseCode.MESSAGE_TOO_BIG, f"send a message in at most {MAX_FRAGMENTS} fragments")

    def _write_out(self) -> None:
        """Write what the protocol has to say of itself: handshake, pongs, closes, the end of the stream."""
        transport = self._transport
        if transport is None:
            return
        for data in self._wire.data_to_send():
            if data:
                transport.write(data)
            else:
                self._api.linger(self)
                if not transport.is_closing() and transport.can_write_eof():
                    transport.write_eof()
        if self.paused_at is not None:
            self._check_queue()

    def _check_queue(self) -> None:
        if self._transport is None:
            return
        waiting = self._transport.get_write_buffer_size()
        waiting += sum(map(len, self._held_back.values())) if self._held_back else 0
        if waiting > self._api.settings.max_send_queue_bytes:
            self.close_slow()

    def close_slow(self) -> None:
        """Close a client that does not drain what it is sent."""
        self.close(CloseCode.SLOW_CONSUMER, "read what you are sent; come back when you can")
