"""The other end of a WebSocket, byte by byte: it sends what no library would, and reads with no library."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of the example in RFC 6455 section 1.3."""
RSV1 = 0x40
MASK = b"\x37\xfa\x21\x3d"
"""Of the example in RFC 6455 section 5.7; the same in every run."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length_bytes: int | None = None,
) -> bytes:
    """A client's frame; `length_bytes` 0, 2 or 8 forces an encoding of the length."""
    size, bit = len(payload), 0x80 if masked else 0
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((opcode | rsv | (0x80 if fin else 0), bit | short))
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if not masked:
        return head + payload
    keys = (MASK * (size // 4 + 1))[:size]
    return head + MASK + (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def closing(code: int, reason: bytes = b"") -> bytes:
    """A close frame with a code."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


def fragmented(*payloads: bytes, between: bytes = b"", rsv: int = 0) -> bytes:
    """A text message in fragments, with other frames between them."""
    last = len(payloads) - 1
    return between.join(
        frame(TEXT if n == 0 else CONT, payload, fin=n == last, rsv=rsv if n == 0 else 0)
        for n, payload in enumerate(payloads)
    )


def request(size: int = 0, number: int = 7) -> bytes:
    """A message that is answered at once with `error 7 4001`, padded to a size."""
    return (b'{"type":"unknown","id":%d}' % number).ljust(size)


def upgrade(*, drop: tuple[str, ...] = (), line: str = "GET /ws HTTP/1.1", **changes: str) -> bytes:
    """An upgrade request; `changes` name headers with `_` for `-`, several values divided by a line break."""
    headers = {
        "Host": "market",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "market.v1",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line]
    for name, values in headers.items():
        if name not in drop:
            lines += [f"{name}: {value}" for value in values.split("\n")]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass
class Answer:
    """The answer to a handshake."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A connection to an API process."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes, *, pieces: int = 0) -> None:
        """Send bytes, in pieces of a size when it is given."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(data), pieces or max(1, len(data))):
                self.socket.sendall(data[start : start + (pieces or len(data))])

    def end(self) -> None:
        """Send no more."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer:
        """The answer to the upgrade request, with status 0 when there is none."""
        while b"\r\n\r\n" not in self._data and self._more():
            pass
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1]) if first else 0
        headers = dict(line.split(": ", 1) for line in lines)
        return Answer(status, headers, self._take(int(headers.get("Content-Length", 0))) or b"")

    def ended(self) -> bool:
        """Whether the server sends no more."""
        return not self._data and not self._more()

    def open(self, request: bytes) -> Answer:
        """Shake hands."""
        self.send(request)
        answer = self.answer()
        assert answer.status == 101, answer
        return answer

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The frames that come until the end: the first byte and the payload of each."""
        while (head := self._take(2)) is not None:
            size = head[1]
            assert size < 128, "a server does not mask"
            if size == 126:
                size = int.from_bytes(self._take(2) or b"", "big")
                assert size >= 126, "a length takes the fewest bytes"
            elif size == 127:
                size = int.from_bytes(self._take(8) or b"", "big")
                assert size >= 1 << 16, "a length takes the fewest bytes"
            payload = self._take(size)
            assert payload is not None, "a frame is whole"
            yield head[0], payload

    def _take(self, size: int) -> bytes | None:
        while len(self._data) < size:
            if not self._more():
                return None
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            return False
        self._data += data
        return bool(data)


def told(first: int, payload: bytes) -> str:
    """A frame from the server in a word or two."""
    assert first & 0x80, "the server sends whole messages"
    opcode, rsv = first & 0x0F, first & 0x70
    if opcode == TEXT and rsv == RSV1:
        return "compressed " + _message(inflated(payload))
    assert not rsv, "reserved bits are 0"
    if opcode == TEXT:
        return _message(payload)
    if opcode == CLOSE:
        return f"close {int.from_bytes(payload[:2], 'big')}" if payload else "close"
    assert opcode == PONG, opcode
    return f"pong {payload.hex()}".strip()


def inflated(payload: bytes, window_bits: int = 10) -> bytes:
    """A compressed payload, without the memory of an earlier one."""
    return zlib.decompressobj(wbits=-window_bits).decompress(payload + b"\x00\x00\xff\xff")


def _message(payload: bytes) -> str:
    message = json.loads(payload)
    code = f" {message['code']}" if "code" in message else ""
    return f"{message['type']} {message['id']}{code}"
