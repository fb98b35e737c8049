"""What a connection costs: memory, silence, pings, broadcasts, compression.

    .venv/bin/python -m tests.service.measure_connections --users 4000

Starts a Redis and an API process, connects users to it over its unix socket, and reads the process's CPU time
and memory from the kernel. CPU time holds on a busy machine within 10 to 30 %.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import resource
import secrets
import selectors
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from market import keys
from market.connection_settings import Compression, Limits
from market.protocol import Distribution, encode
from market.seed import seed
from market.settings import Settings
from market.tokens import load_signer
from tests.service.conftest import RedisServer
from tests.service.rfc6455.peer import TEXT, Peer, frame, upgrade
from tests.service.shared_api import running_api, settings_without_sql

JOIN = frame(TEXT, b'{"type":"join_game","id":1,"game":"match-1"}')
OFFER = "permessage-deflate; client_max_window_bits"
OPTIONS = (3, 40)
"""A pool with so many options: a distribution of about 150 bytes and one of about 450."""


@dataclass
class Process:
    """An API process as the kernel sees it."""

    pid: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


def drain(peers: list[Peer], until_s: float, expected: int = 0) -> int:
    """Read what comes until a time, or until so many bytes came; how many did."""
    received = 0
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ)
        while (left_s := until_s - time.monotonic()) > 0 and not 0 < expected <= received:
            for key, _ in selector.select(left_s):
                received += len(os.read(key.fd, 1 << 16))
    return received


@contextlib.contextmanager
def connected(
    settings: Settings, directory: Path, users: int, offer: str | None
) -> Iterator[tuple[Process, list[Peer]]]:
    """Users who joined the game, one connection each."""
    signer = load_signer(settings.token_key_file)
    extensions: dict[str, Any] = {"Sec-WebSocket-Extensions": offer} if offer else {}
    with running_api(settings, directory) as server, contextlib.ExitStack() as stack:
        peers = []
        process = Process(server.pid)
        for number in range(users):
            peer = stack.enter_context(Peer(server.path))
            token = signer.issue(f"user-{number}", 3600)
            peer.open(upgrade(Authorization=f"Bearer {token}", **extensions))
            peer.send(JOIN)
            next(peer.frames())
            peers.append(peer)
        yield process, peers


def silence(settings: Settings, directory: Path, users: int, seconds: float) -> None:
    with connected(settings, directory, 1, None) as (process, _):
        empty_kib = process.rss_kib()
    for keepalive_s in (0, 240, 2):
        limits = Limits(keepalive_s=keepalive_s)
        changed = msgspec.structs.replace(settings, limits=limits)
        with connected(changed, directory, users, None) as (process, peers):
            drain(peers, time.monotonic() + 8)
            rss_kib, cpu_s, start_s = process.rss_kib(), process.cpu_s(), time.monotonic()
            pings = drain(peers, start_s + seconds) / 2
            cost_us = (process.cpu_s() - cpu_s) * 1e6 / users / (time.monotonic() - start_s)
            print(  # noqa: T201
                f"keepalive-s {keepalive_s:3}: {(rss_kib - empty_kib) / users:.1f} KiB a connection,"
                f" {cost_us:.2f} us a connection and second, {pings / users / seconds:.3f} pings"
            )


def broadcasts(settings: Settings, directory: Path, master: RedisServer, users: int, count: int) -> None:
    compression = Compression(negotiable=True)
    changed = msgspec.structs.replace(settings, compression=compression)
    with connected(changed, directory, 1, OFFER) as (process, _):
        empty_kib = process.rss_kib()
    for offer in (None, OFFER):
        with (
            connected(changed, directory, users, offer) as (process, peers),
            contextlib.closing(master.client()) as redis,
        ):
            drain(peers, time.monotonic() + 8)
            rss_kib, offsets = process.rss_kib(), itertools.count(1)
            for options in OPTIONS:
                message, cpu_s, size = 0, process.cpu_s(), 0
                for number in range(count):
                    totals = [1_000_003 * (index + 1) + number for index in range(options)]
                    at_us, offset = time.time_ns() // 1000, next(offsets)
                    sent = Distribution("match-1", "winner", 1, offset, at_us, totals, number)
                    message = len(encode(sent))
                    redis.publish(keys.channel("match-1"), encode(sent))
                    size += drain(peers, time.monotonic() + 0.35)
                cost_us = (process.cpu_s() - cpu_s) * 1e6 / users / count
                print(  # noqa: T201
                    f"{'compressed' if offer else 'plain':10} {message} bytes:"
                    f" {size / users / count:.0f} bytes on the wire, {cost_us:.1f} us a delivery,"
                    f" {(rss_kib - empty_kib) / users:.1f} KiB a connection"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--broadcasts", type=int, default=20)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for name in ("password", "token-key"):
            (directory / name).write_text(secrets.token_hex(32), encoding="ascii")
        master = RedisServer(directory / "redis", (directory / "password").read_text(encoding="ascii"))
        master.start()
        try:
            settings = settings_without_sql(master, directory / "password", directory / "token-key")
            seed(settings, users=1, balance=1)
            silence(settings, directory, options.users, options.seconds)
            broadcasts(settings, directory, master, options.users, options.broadcasts)
        finally:
            master.stop()


if __name__ == "__main__":
    main()
