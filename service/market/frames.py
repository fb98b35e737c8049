"""Messages as the bytes of a WebSocket frame from the server (RFC 6455 section 5.2)."""

from __future__ import annotations

import struct
from typing import Final

_TEXT: Final = 0x81
_COMPRESSED_TEXT: Final = 0xC1
"""With the bit that permessage-deflate reserves (RFC 7692 section 6)."""


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked, uncompressed text frame; `payload` is UTF-8."""
    return _frame(_TEXT, payload)


def compressed_text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame; `payload` is UTF-8, deflated."""
    return _frame(_COMPRESSED_TEXT, payload)


def payload_of(frame: bytes) -> bytes:
    """What was given to `text_frame`."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
