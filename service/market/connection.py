"""One client's WebSocket: bytes in, messages out, and what is done about a client that misbehaves.

The protocol itself is `websockets`' Sans-I/O one; this is the thin layer between it and the event loop. There
is no task and no timer per connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN, SEND_EOF

from market import origins
from market.addresses import HEADER, client_address
from market.compression import Compressor
from market.fragments import Fragments
from market.handshakes import refused, too_many
from market.history import Sending
from market.http.connection import HttpConnection
from market.protocol import SUBPROTOCOLS, CloseCode
from market.sessions import Session
from market.tokens import Identity, TokenError

if TYPE_CHECKING:
    from market.server import Api

UPGRADE: Final = b"GET /ws"
"""How every request begins that asks for a WebSocket; all others are plain HTTP."""

MAX_HANDSHAKE_BYTES: Final = 16_384
HIGH_WATER_BYTES: Final = 16_384
"""What waits to be sent before distributions are kept back, the latest of each pool only."""

_VIOLATIONS: Final = frozenset(
    (
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_TEXT,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.TOO_MANY_ERRORS,
    )
)
_END_OF_HEAD: Final = b"\r\n\r\n"
_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 24\r\n\r\nsend a request of HTTP\r\n"
)
_finished: Final[Generator[None]] = (None for _ in ())


def _ignore(_: Frame) -> None:
    pass


class Connection(asyncio.Protocol):
    """A client's connection, from the bytes of its handshake to its end."""

    __slots__ = (
        "_api",
        "_compressor",
        "_fragments",
        "_handshake_bytes",
        "_head_tail",
        "_held_back",
        "_largest",
        "_name",
        "_opening",
        "_transport",
        "_wire",
        "address",
        "deadline",
        "heard",
        "paused_at",
        "quiet_rounds",
        "session",
        "silent_rounds",
        "told",
    )

    def __init__(self, api: Api) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._wire = api.handshakes.protocol(self._on_frame)
        self.session = Session(self, api)
        self._compressor: Compressor | None = None
        self._fragments: Fragments | None = None
        self._handshake_bytes = 0
        self._head_tail = b""
        self._opening: bytes | None = b""
        self._held_back: dict[object, bytes] | None = None
        self._largest = 0
        self._name: str | None = None
        self.paused_at: int | None = None
        """The tick at which the client stopped to drain what it is sent, None while it does."""
        self.deadline: int | None = None
        """The tick at which a connection that is being closed is cut off."""
        self.address: str | None = None
        """The client's address, None when nobody says it; see `addresses`."""
        self.heard = self.told = True
        """Whether a message came, and whether anything was sent, since the last round."""
        self.silent_rounds = self.quiet_rounds = 0
        """Rounds (see `rounds`) without a message, and without anything sent."""

    @property
    def name(self) -> str:
        """What it is called in logs: as nginx calls it, else a name of its own."""
        if self._name is None:
            self._name = origins.new_name()
        return self._name

    @property
    def is_opening(self) -> bool:
        """Whether the handshake is not done."""
        return self._wire.state is CONNECTING

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._wire.state is OPEN

    @property
    def is_subscribed(self) -> bool:
        """Whether a game is joined."""
        return self.session.is_subscribed

    @property
    def identity(self) -> Identity | None:
        """Who it belongs to, None before a token was shown."""
        return self.session.identity

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
        self._untie()

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
        if self.is_opening and not self._wire.eof_sent:
            data = self._open(data)
        if data:
            self._wire.receive_data(data)
        self._write_out()

    def _open(self, data: bytes) -> bytes:
        """Read the upgrade request and answer it; what came behind it."""
        known = self._head_tail + data
        end = known.find(_END_OF_HEAD)
        cut = len(data) if end < 0 else end + len(_END_OF_HEAD) - len(self._head_tail)
        self._head_tail = known[1 - len(_END_OF_HEAD) :]
        self._handshake_bytes += cut
        if self._handshake_bytes > MAX_HANDSHAKE_BYTES:
            self._respond(self._wire.reject(431, f"send at most {MAX_HANDSHAKE_BYTES} bytes of headers\n"))
            return b""
        self._wire.receive_data(data[:cut])
        for event in self._wire.events_received():
            if isinstance(event, Request):
                self._on_request(event)
        if self._wire.writes == [SEND_EOF] and self._transport is not None:
            self._transport.write(_BAD_REQUEST)  # the layer below only hangs up
        return data[cut:]

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
        self._largest = 0
        if self._held_back and self._transport is not None and self.is_open:
            held_back, self._held_back = self._held_back, None
            self._transport.writelines(held_back.values())

    def send(self, frame: bytes) -> None:
        """Send a reply; replies are never dropped, a client that leaves too many of them is closed."""
        if self._transport is not None and self.is_open:
            self.told = True
            frame = frame if self._compressor is None else self._compressor.single(frame)
            self._largest = max(self._largest, len(frame))
            self._transport.write(frame)
            if self.paused_at is not None:
                self._check_queue()

    def offer(self, sending: Sending) -> None:
        """Send a push; to a client that does not drain, of each pool's distributions only the latest."""
        if self._transport is None or not self.is_open:
            return
        if sending.only is not None and sending.only != self.version:
            return
        self.told = True
        frame = sending.frame if self._compressor is None else self._compressor.shared(sending.frame)
        self._largest = max(self._largest, len(frame))
        if self.paused_at is None:
            self._transport.write(frame)
        else:
            if self._held_back is None:
                self._held_back = {}
            key = sending.pool or sending.position
            self._held_back.pop(key, None)
            self._held_back[key] = frame
            self._check_queue()

    @property
    def version(self) -> int:
        """The version of the protocol that was agreed on."""
        return 1 if self._wire.subprotocol == SUBPROTOCOLS[1] else 2

    def ping(self) -> None:
        """Send something through a connection that is silent, so that whatever is on the way keeps it."""
        if self._transport is not None and self.is_open:
            self._wire.send_ping(b"")
            self._write_out()

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin to close; the connection is cut off when the client does not answer."""
        if self._transport is not None and self.is_open:
            if code in _VIOLATIONS:
                self._wire.fail(code, reason)  # ends at once (RFC 6455 section 7.1.7)
            else:
                self._wire.send_close(code, reason)
            self._held_back = None
            self._api.linger(self)
            self._write_out()

    def cut_off(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _untie(self) -> None:
        """Break the cycles, so that no garbage collection is needed: what is frozen by then has none."""
        self._wire.parser = _finished
        self._wire.on_frame = _ignore
        for error in (self._wire.handshake_exc, self._wire.parser_exc):
            if error is not None:
                error.__traceback__ = None  # it has the protocol and the error itself

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Leave the connection to plain HTTP."""
        self._api.disconnected(self)
        self.session.end()
        self._transport = None
        self._untie()
        http = HttpConnection(self._api)
        transport.set_protocol(http)
        http.connection_made(transport)
        http.data_received(data)

    def _on_request(self, request: Request) -> None:
        if request.path.partition("?")[0] != "/ws":
            self._respond(self._wire.reject(404, "the market is at /ws\n"))
        elif (refusal := self._api.refusal()) is not None:
            self._respond(self._wire.reject(503, refusal + "\n"))
        elif wait_s := self._api.limiter.connection_from(self._locate(request)):
            self._respond(too_many(self._wire, wait_s))
        else:
            response = self._api.handshakes.accept(self._wire, request)
            self._respond(response if response.status_code != 101 else self._identify(request, response))

    def _locate(self, request: Request) -> str | None:
        self.address = client_address(self._transport, request.headers.get_all(HEADER))
        self._name = origins.told_name(self._transport, request.headers.get_all(origins.HEADER))
        return self.address

    def _identify(self, request: Request, response: Response) -> Response:
        """The response, or a refusal of the token that the request shows."""
        authorization = request.headers.get_all("Authorization")
        try:
            if authorization:
                scheme, _, token = authorization[0].partition(" ")
                if scheme.lower() != "bearer" or len(authorization) > 1:
                    raise TokenError("show one token: Authorization: Bearer TOKEN")
                self.session.identify(token.strip())
        except TokenError as error:
            self._api.audit.note_stranger("authenticate", error.code, again=False)
            return refused(self._wire, error)
        return response

    def _respond(self, response: Response) -> None:
        self._wire.send_response(response)
        if response.status_code == 101:
            self._compressor = self._api.compressors.negotiated(self._wire.extensions)

    def _on_frame(self, frame: Frame) -> None:
        if not self.is_open or frame.opcode is Opcode.CLOSE:
            return
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._receive(bytes(frame.data))
        elif frame.opcode is Opcode.BINARY:
            self.close(CloseCode.UNSUPPORTED_DATA, "send text messages")
        elif self._api.limiter.request(self.identity, self.address):
            self.close(CloseCode.TOO_MANY_ERRORS, "send fewer frames")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._on_fragment(frame)

    def _on_fragment(self, frame: Frame) -> None:
        if self._fragments is None:
            self._fragments = Fragments()
        try:
            message = self._fragments.add(frame.data, frame.fin)
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_TEXT, "send UTF-8")
            return
        if message is not None:
            self._fragments = None
            self._receive(message)

    def _receive(self, message: bytes) -> None:
        self.heard = True
        if self._wire.writes:
            self._write_out()  # pongs that were due before
        self.session.receive(message)

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
        """Close a client that leaves too much; one large message alone is no fault of its own."""
        if self._transport is None:
            return
        waiting = self._transport.get_write_buffer_size()
        waiting += sum(map(len, self._held_back.values())) if self._held_back else 0
        if waiting > self._api.settings.max_send_queue_bytes + self._largest:
            self.close_slow()

    def close_slow(self) -> None:
        """Close a client that does not drain what it is sent."""
        self.close(CloseCode.SLOW_CONSUMER, "read what you are sent; come back when you can")
