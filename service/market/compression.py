"""Frames for the clients that negotiated permessage-deflate (RFC 7692).

Nothing is remembered from one message to the next, so a message is compressed alike for all clients with one
window, and a broadcast once for all of them.
"""

from __future__ import annotations

import zlib
from typing import Final

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

from market.connection_settings import Compression
from market.frames import compressed_text_frame, payload_of

_MEMORY_LEVEL: Final = 4
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"
_KEPT: Final = 512
"""Pushes that are remembered in their compressed form: those on their way, and those that many missed."""


class Compressor:
    """Compresses frames for one size of window."""

    def __init__(self, window_bits: int, min_bytes: int) -> None:
        self._window_bits = window_bits
        self._min_bytes = min_bytes
        self._shared: dict[bytes, bytes] = {}

    def single(self, frame: bytes) -> bytes:
        """A text frame compressed, or itself when that is no shorter."""
        if len(frame) < self._min_bytes:
            return frame
        encoder = zlib.compressobj(wbits=-self._window_bits, memLevel=_MEMORY_LEVEL)
        payload = encoder.compress(payload_of(frame)) + encoder.flush(zlib.Z_SYNC_FLUSH)
        compressed = compressed_text_frame(payload.removesuffix(_EMPTY_BLOCK))
        return compressed if len(compressed) < len(frame) else frame

    def shared(self, frame: bytes) -> bytes:
        """As `single`, of a frame that many clients are sent."""
        compressed = self._shared.get(frame)
        if compressed is None:
            compressed = self._shared[frame] = self.single(frame)
            if len(self._shared) > _KEPT:
                del self._shared[next(iter(self._shared))]
        return compressed


class Compressors:
    """What a process negotiates, and a compressor for each window that came of it."""

    def __init__(self, settings: Compression) -> None:
        self._settings = settings
        self._by_bits: dict[int, Compressor] = {}
        bits = settings.window_bits
        self.factories: Final = (
            [
                ServerPerMessageDeflateFactory(
                    server_no_context_takeover=True,
                    client_no_context_takeover=True,
                    server_max_window_bits=bits,
                    client_max_window_bits=bits,
                )
            ]
            if settings.negotiable
            else []
        )

    def negotiated(self, extensions: list[Extension]) -> Compressor | None:
        """The compressor of a connection with these extensions, None when it has no compression."""
        for extension in extensions:
            if isinstance(extension, PerMessageDeflate):
                bits = extension.local_max_window_bits
                if bits not in self._by_bits:
                    self._by_bits[bits] = Compressor(bits, self._settings.min_bytes)
                return self._by_bits[bits]
        return None
