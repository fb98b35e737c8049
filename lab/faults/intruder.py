"""Clients without manners: `python -m lab.faults.intruder MANNERS`, run where a region's users are.

It prints `there` when they are connected, goes on until its standard input ends, and prints how many of its
connections were ended by the server.
"""

from __future__ import annotations

import argparse
import base64
import os
import select
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import urlsplit

import msgspec
from websockets.frames import Frame, Opcode

STEP_S: Final = 0.1
CONNECT_TIMEOUT_S: Final = 5.0
RECEIVE_BUFFER_BYTES: Final = 4096
REQUESTS_AT_ONCE: Final = 48
PORT: Final = 443

_TCP_REPAIR: Final = 19
"""tcp(7) of CRIU: a socket that is closed under repair sends nothing, as when its machine loses power."""


class Gate:
    """How a server is reached, in several stages.

    Args:
        url: of the service.
        ca_file: the authority that it is checked against.
        tokens: of the accounts that are taken in turn.
    """

    def __init__(self, url: str, ca_file: str, tokens: list[str]) -> None:
        self._parts = urlsplit(url)
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._tokens = tokens
        self._next = 0

    @property
    def host(self) -> str:
        """The server's name."""
        return self._parts.hostname or ""

    def tcp(self) -> socket.socket:
        """A TCP connection that takes little in at a time."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect((self.host, self._parts.port or PORT))
        return connection

    def tls(self) -> ssl.SSLSocket:
        """A TLS connection."""
        return self._tls.wrap_socket(self.tcp(), server_hostname=self.host)

    def upgrade_request(self, *, token: bool = True) -> bytes:
        """The request that makes a WebSocket of a connection."""
        self._next += 1
        lines = [
            f"GET {self._parts.path} HTTP/1.1",
            f"Host: {self.host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: market.v1",
        ]
        if token:
            lines.append(f"Authorization: Bearer {self._tokens[self._next % len(self._tokens)]}")
        return "\r\n".join([*lines, "", ""]).encode()

    def upgraded(self, *, token: bool = True) -> ssl.SSLSocket:
        """A WebSocket; the server's answer has been read.

        Raises:
            OSError: when the server does not make one.
        """
        connection = self.tls()
        connection.sendall(self.upgrade_request(token=token))
        answer = connection.recv(4096)
        if b" 101 " not in answer:
            raise ConnectionRefusedError(answer[:200].decode(errors="replace"))
        return connection


def slow_readers(gate: Gate, count: int) -> Iterator[int]:
    """Clients that ask and ask, and read nothing."""
    connections = [gate.upgraded() for _ in range(count)]
    asking = b"".join(
        _text({"type": "list_pools", "id": number, "game": "match-1"}) for number in range(REQUESTS_AT_ONCE)
    )
    for connection in connections:
        connection.sendall(_text({"type": "join_game", "id": 0, "game": "match-1"}))
        connection.setblocking(False)
    ended = 0
    while True:
        yield ended
        for connection in list(connections):
            try:
                connection.send(asking)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                continue
            except OSError:
                ended += 1
                connections.remove(connection)
                connection.close()


def half_open(gate: Gate, count: int) -> Iterator[int]:
    """Clients that stop half way, or vanish without a word."""
    kept: list[socket.socket] = []
    for number in range(count):
        match number % 5:
            case 0:
                kept.append(gate.tcp())
            case 1:
                kept.append(gate.tls())
            case 2:
                halfway = gate.tls()
                request = gate.upgrade_request()
                halfway.sendall(request[: len(request) // 2])
                kept.append(halfway)
            case 3:
                kept.append(gate.upgraded(token=False))
            case _:
                vanishing = gate.upgraded()
                vanishing.sendall(_text({"type": "join_game", "id": 0, "game": "match-1"}))
                with suppress(OSError):
                    vanishing.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
                vanishing.close()
    while True:
        ended, _, _ = select.select(kept, [], [], 0)
        yield len(ended)


def garbage(gate: Gate, count: int) -> Iterator[int]:
    """Clients that send what is no protocol, and come back when they are thrown out."""
    random = Random(1)  # noqa: S311 (noise that can be repeated)
    makers: tuple[Callable[[], socket.socket], ...] = (gate.tcp, gate.tls, gate.upgraded)
    kept: list[socket.socket] = []
    ended = 0
    while True:
        for _ in range(count - len(kept)):
            try:
                connection = random.choice(makers)()
            except OSError:
                continue
            connection.setblocking(False)
            kept.append(connection)
        for connection in list(kept):
            try:
                connection.send(_noise(random))
                if not connection.recv(4096):
                    raise ConnectionResetError("the server has ended it")
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                continue
            except OSError:
                ended += 1
                kept.remove(connection)
                connection.close()
        yield ended


def _noise(random: Random) -> bytes:
    """Bytes that are nothing, or almost a frame."""
    return random.choice(
        (
            random.randbytes(random.randrange(1, 2000)),
            Frame(Opcode.BINARY, random.randbytes(100)).serialize(mask=True),
            Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True),
            Frame(Opcode.TEXT, b'{"type":' * 500).serialize(mask=True),
            Frame(Opcode.TEXT, b"{}").serialize(mask=False),
            b"\xc1\x82" + bytes(4) + b"{}",
            b"\x81\xff" + b"\xff" * 12,
            b"GET /ws HTTP/1.1\r\n" + b"x" * 3000,
        )
    )


def _text(message: dict[str, object]) -> bytes:
    return Frame(Opcode.TEXT, msgspec.json.encode(message)).serialize(mask=True)


MANNERS: Final[dict[str, Callable[[Gate, int], Iterator[int]]]] = {
    "slow readers": slow_readers,
    "half-open": half_open,
    "garbage": garbage,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m lab.faults.intruder", description=__doc__)
    parser.add_argument("manners", choices=MANNERS)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca-file", required=True)
    parser.add_argument("--tokens-file", type=Path, required=True, help="its last lines are used")
    options = parser.parse_args()
    lines = options.tokens_file.read_text(encoding="utf-8").splitlines()
    tokens = [line.split("\t")[1] for line in lines[-options.connections :]]
    steps = MANNERS[options.manners](Gate(options.url, options.ca_file, tokens), options.connections)
    ended = next(steps)
    sys.stdout.write("there\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], STEP_S)[0]:
        ended = next(steps)
    sys.stdout.write(f"{ended}\n")


if __name__ == "__main__":
    main()
