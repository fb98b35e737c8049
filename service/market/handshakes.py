"""The opening handshake (RFC 6455 section 4): what is accepted, and how what is not is refused."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from market.compression import Compressors
from market.settings import Settings
from market.tokens import TokenError

WEBSOCKET_VERSION: Final = "13"

_quiet: Final = logging.getLogger("market.websockets")
_quiet.setLevel(logging.CRITICAL)


class WireProtocol(ServerProtocol):
    """The protocol of one connection, which hands over each frame at its turn.

    The layer below reads all that came before it gives any of it away: a message that came together with a
    close would find the connection closed.
    """

    def __init__(self, on_frame: Callable[[Frame], None], **options: Any) -> None:
        super().__init__(**options)
        self.on_frame = on_frame

    def recv_frame(self, frame: Frame) -> None:
        """See `websockets.protocol.Protocol`."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # it may come between fragments, as every control frame
        super().recv_frame(frame)
        self.events.clear()
        self.on_frame(frame)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol:
        """The first that the client names and this server offers: the client knows what it prefers."""
        offered = self.available_subprotocols or ()
        for name in subprotocols:
            if name in offered:
                return name
        raise NegotiationError(f"ask for the subprotocol {' or '.join(offered)}")


class Handshakes:
    """Makes the protocol of each connection, and answers its upgrade request."""

    def __init__(self, settings: Settings, compressors: Compressors) -> None:
        self._max_size = settings.max_message_bytes
        self._extensions = compressors.factories
        self._subprotocols = [Subprotocol(name) for name in settings.protocols]
        self._origins = (
            [None, *(Origin(origin.rstrip("/").lower()) for origin in settings.allowed_origins)]
            if settings.allowed_origins
            else None
        )

    def protocol(self, on_frame: Callable[[Frame], None]) -> WireProtocol:
        """The protocol of a new connection; `on_frame` gets what comes, control frames too."""
        return WireProtocol(
            on_frame,
            origins=self._origins,
            extensions=self._extensions,
            subprotocols=self._subprotocols,
            max_size=self._max_size,
            logger=_quiet,
        )

    def accept(self, protocol: ServerProtocol, request: Request) -> Response:
        """The answer to an upgrade request: 101, or the refusal that the RFC has for its fault."""
        if len(request.headers.get_all("Host")) != 1:
            return protocol.reject(400, "send one Host header\n")
        versions = request.headers.get_all("Sec-WebSocket-Version")
        if versions and versions != [WEBSOCKET_VERSION]:
            response = protocol.reject(426, f"speak version {WEBSOCKET_VERSION} of the WebSocket protocol\n")
            response.headers["Upgrade"] = "websocket"
        else:
            response = protocol.accept(request)
        if response.status_code == 426:
            response.headers["Sec-WebSocket-Version"] = WEBSOCKET_VERSION
        if response.status_code == 101:
            response.headers = Headers(
                (name, value)
                for name, value in response.headers.raw_items()
                if name not in ("Date", "Server")
            )
        return response


def refused(protocol: ServerProtocol, error: TokenError) -> Response:
    """The answer to an upgrade request whose token is not accepted."""
    response = protocol.reject(error.status, f"{error}\n")
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="market"'
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
    return response


def too_many(protocol: ServerProtocol, wait_s: float) -> Response:
    """The answer to an upgrade request that comes too soon after others."""
    response = protocol.reject(429, "too many connections come from this address; come back later\n")
    response.headers["Retry-After"] = str(math.ceil(wait_s))
    return response
