"""Messages as the bytes of a WebSocket frame from the server (RFC 6455 section 5.2)."""

from __future__ import annotations

import struct


def text_frame(payload: bytes) -> bytes:
    """A whole, unmasked, uncompressed text frame; `payload` is UTF-8."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload
