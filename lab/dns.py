"""The lab's name server: answers each host as the declared latency records would answer its region.

`python -m lab.dns CONFIG.json` opens 127.0.0.53:53 (UDP and TCP) in every host's namespace, prints `ready`,
and answers until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from dnslib import QTYPE, RCODE, RR, A, DNSError, DNSHeader, DNSRecord
from msgspec import Struct

from lab import namespaces
from lab.errors import LabError

ADDRESS: Final = "127.0.0.53"
PORT: Final = 53
RESOLV_CONF: Final = f"nameserver {ADDRESS}\noptions timeout:1 attempts:2\n"
"""What a host's /etc/resolv.conf says."""

_TCP_IDLE_S: Final = 10.0
_HEADER_BYTES: Final = 12
_BACKLOG: Final = 128
_MAX_DATAGRAM: Final = 65_535
_MAX_UDP_ANSWER: Final = 512
_MAX_TCP_ANSWER: Final = 65_535
_QUERY: Final = 0


class Asker(Struct, frozen=True):
    """A host that asks: its namespace and its region."""

    namespace: str
    region: str


class Config(Struct, frozen=True):
    """What the process is told; `records` has the addresses of each name, for each region of asking hosts."""

    askers: list[Asker]
    records: dict[str, dict[str, list[str]]]
    ttl_s: int


class Zone:
    """The records as one region's hosts see them.

    A name of the records has their addresses, and is empty for other types than A; another name below the
    domain of one of them (the name without its first label) does not exist; anything else is refused.
    """

    def __init__(self, records: Mapping[str, Sequence[str]], ttl_s: int) -> None:
        self._records = {_canonical(name): tuple(addresses) for name, addresses in records.items()}
        self._domains = tuple(name.partition(".")[2] or name for name in self._records)
        self._ttl_s = ttl_s

    def answer(self, message: bytes, most: int = _MAX_TCP_ANSWER) -> bytes | None:
        """The answer to a message, of `most` bytes; none when it is too short to be answered, or an answer.

        An answer that is longer is empty and marked as truncated, so that the asker comes back by TCP.
        """
        if len(message) < _HEADER_BYTES or message[2] & 0x80:
            return None
        try:
            reply = self._answer(DNSRecord.parse(message))
            answer: bytes = reply.pack()
            if len(answer) > most:
                answer = reply.truncate().pack()
        except (DNSError, ValueError, IndexError, struct.error, RecursionError):
            identity = int.from_bytes(message[:2], "big")
            answer = DNSRecord(DNSHeader(id=identity, qr=1, rcode=RCODE.FORMERR)).pack()
        return answer

    def _answer(self, query: DNSRecord) -> DNSRecord:
        reply = query.reply(ra=0, aa=1)
        if query.header.opcode != _QUERY or len(query.questions) != 1:
            reply.header.rcode = RCODE.NOTIMP
            return reply
        name = _canonical(str(query.q.qname))
        addresses = self._records.get(name)
        if addresses is not None:
            if query.q.qtype in (QTYPE.A, QTYPE.ANY):
                for address in addresses:
                    reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=self._ttl_s))
        elif any(name == domain or name.endswith(f".{domain}") for domain in self._domains):
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            reply.header.aa = 0
            reply.header.rcode = RCODE.REFUSED
        return reply


def _answer_datagrams(zone: Zone, datagrams: socket.socket) -> None:
    """Answers what has arrived; who asked may be gone by then."""
    with suppress(OSError):
        while True:
            message, asker = datagrams.recvfrom(_MAX_DATAGRAM)
            answer = zone.answer(message, most=_MAX_UDP_ANSWER)
            if answer is not None:
                datagrams.sendto(answer, asker)


async def _converse(zone: Zone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one TCP connection; each message has its length before it (RFC 1035, 4.2.2)."""
    try:
        with suppress(asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            while True:
                async with asyncio.timeout(_TCP_IDLE_S):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    answer = zone.answer(await reader.readexactly(length))
                    if answer is None:
                        return
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
    finally:
        writer.close()


def _listen(namespace: str) -> tuple[socket.socket, socket.socket]:
    with namespaces.entered(namespace):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for listener in (datagrams, streams):
        listener.setblocking(False)
        listener.bind((ADDRESS, PORT))
    streams.listen(_BACKLOG)
    return datagrams, streams


async def serve(config: Config) -> None:
    """Answers until SIGTERM.

    Raises:
        OSError: when the port is taken in a host's namespace.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    zones = {
        asker.region: Zone(config.records.get(asker.region, {}), config.ttl_s) for asker in config.askers
    }
    for asker in config.askers:
        zone = zones[asker.region]
        datagrams, streams = _listen(asker.namespace)
        loop.add_reader(datagrams, _answer_datagrams, zone, datagrams)
        await asyncio.start_server(partial(_converse, zone), sock=streams)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ended.wait()


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def main(arguments: Sequence[str]) -> None:
    """Runs the name server that the configuration file describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Config)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (LabError, OSError) as error:
        sys.exit(f"the name server cannot start: {error}")
