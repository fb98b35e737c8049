"""A text message that comes in fragments (RFC 6455 section 5.4)."""

from __future__ import annotations

import codecs

_utf8 = codecs.getincrementaldecoder("utf-8")


class Fragments:
    """The fragments of one message so far; its size is bounded by the layer below."""

    __slots__ = ("_data", "_decoder")

    def __init__(self) -> None:
        self._data = bytearray()
        self._decoder = _utf8()

    def add(self, data: bytes | bytearray | memoryview, fin: bool) -> bytes | None:
        """The whole message after its last fragment, None before.

        Raises:
            UnicodeDecodeError: as soon as what has come cannot begin a text in UTF-8.
        """
        self._decoder.decode(bytes(data), fin)
        self._data += data
        return bytes(self._data) if fin else None
