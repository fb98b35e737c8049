"""Helps the tests of the emulated world: names of their own, and proof that nothing is left."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil

from lab import namespaces
from lab.world import Host, World

SO_TIMESTAMPNS = 35
DISTANT = {("a", "a"): 1.0, ("a", "b"): 40.0, ("b", "a"): 40.0, ("b", "b"): 1.0}
PAIR = (Host("left", "a", "198.18.1.1"), Host("right", "b", "198.18.2.1"))
SLEEP = ["sleep", "1000"]


def lab_name() -> str:
    return f"test-{uuid4().hex[:8]}"


def remains(lab: str, root: Path) -> list[str]:
    """Everything on this machine that bears the lab's name."""
    found = [f"namespace {name}" for name in namespaces.existing(f"{lab}.")]
    found += [str(path) for path in namespaces.CONFIGURATION.glob(f"{lab}.*")]
    found += [str(path) for path in root.glob(lab)]
    return found


def inside(world: World, host: str, kind: socket.SocketKind) -> socket.socket:
    """A socket on that host, for the test's own process."""
    with namespaces.entered(world.namespace(host)):
        return socket.socket(socket.AF_INET, kind)


@contextmanager
def udp(world: World, host: str) -> Iterator[socket.socket]:
    """A bound UDP socket on that host, whose packets the kernel stamps with their time of arrival."""
    with inside(world, host, socket.SOCK_DGRAM) as endpoint:
        endpoint.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        endpoint.bind((world.hosts[host].address, 0))
        endpoint.settimeout(5)
        yield endpoint


def receive(endpoint: socket.socket) -> tuple[bytes, float]:
    """A datagram and when it arrived (seconds since the epoch)."""
    data, ancillary, _, _ = endpoint.recvmsg(65_535, 256)
    seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
    return data, seconds + nanoseconds / 1e9


def eventually(what: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Returns when it is so; for counters, which their owner writes once a second."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process lives; one that ended and waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
