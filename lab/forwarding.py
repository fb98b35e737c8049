"""The WAN's inner loop: reads packets from the devices, holds each for its delay, writes it on.

Everything here is shaped by its cost per packet: local names, one clock reading for a batch, a heap in C.
"""

from __future__ import annotations

import errno
import os
import select
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Protocol

from lab.wanstats import LATENESS_MS, StatsFile

MAX_PACKET: Final = (1 << 16) + 64
"""Bytes that one read may bring; a device with offload hands over up to 64 KiB and its header."""

READ_BATCH: Final = 64
"""Packets read from one device before the others get their turn and due ones are released."""

WRITE_BATCH: Final = 32
"""Packets released on one reading of the clock."""

MAX_HELD: Final = 500_000
"""Packets held at most; what comes beyond is dropped, as a router with full buffers does."""

REST_S: Final = 0.0004
"""While packets come, the devices are looked at this often, which halves the cost of a packet. Arrivals are
taken to lie in the middle between two looks, and packets are released up to half of it early or late, so that
the mean delay is right."""

MAX_AWAY_S: Final = 0.005
"""The time after which the devices are looked at again although more packets are due."""

STATS_INTERVAL_S: Final = 1.0

_DESTINATION: Final = slice(16, 20)


@dataclass(frozen=True)
class Port:
    """A host's device, and by destination address the device that a packet goes to and the delay (s)."""

    descriptor: int
    routes: Mapping[bytes, tuple[int, float]]


class Impairs(Protocol):
    """What may hold a packet longer or lose it."""

    def release(self, source: int, destination: int, due_s: float) -> float | None:
        """The time to release the packet, or none when it is lost."""


def forward(ports: Sequence[Port], *, header: int, impairment: Impairs | None, stats: StatsFile) -> None:  # noqa: PLR0912, PLR0915
    """Forwards packets until an exception (a signal's) ends it or the last device is gone.

    Args:
        ports: the devices; non-blocking.
        header: bytes before each packet's IP header.
        impairment: jitter and loss, or none.
        stats: the counters to keep and to write every second.
    """
    read, write, push, pop, clock = os.read, os.write, heappush, heappop, time.monotonic
    wait, nap, epoll = select.select, time.sleep, select.epoll()
    reads = range(READ_BATCH)
    full: Mapping[bytes, tuple[int, float]] = {}
    poll, counts = epoll.poll, stats.stats
    lateness = counts.lateness
    first, last = header + _DESTINATION.start, header + _DESTINATION.stop
    tables = {port.descriptor: port.routes for port in ports}
    for port in ports:
        epoll.register(port.descriptor, select.EPOLLIN)
    sources = [epoll.fileno()]
    seen = dict.fromkeys(tables, 0.0)
    held: list[tuple[float, int, int, bytes]] = []
    order = 0
    events: list[tuple[int, int]] = []
    looked = clock()
    next_write = looked + STATS_INTERVAL_S
    while tables:
        now = clock()
        counts.max_away_ms = max(counts.max_away_ms, (now - looked) * 1000)
        before = looked
        if not events:
            timeout = min(held[0][0], next_write) - now if held else next_write - now
            if timeout > 0:
                wait(sources, (), (), timeout)
                before = clock()
        elif before + REST_S > now:
            nap(before + REST_S - now)
        events = poll(0)
        looked = clock()
        middle = (looked - before) / 2
        for descriptor, _ in events:
            routes = tables[descriptor] if len(held) < MAX_HELD else full
            now = clock()
            arrived = max(now - middle, seen[descriptor])
            seen[descriptor] = now
            try:
                for _ in reads:
                    packet = read(descriptor, MAX_PACKET)
                    route = routes.get(packet[first:last])
                    if route is None:
                        if routes is full:
                            counts.overflowed += 1
                        else:
                            counts.unroutable += 1
                        continue
                    due = arrived + route[1]
                    if impairment is not None:
                        at = impairment.release(descriptor, route[0], due)
                        if at is None:
                            counts.lost += 1
                            continue
                        due = at
                    order += 1
                    push(held, (due, order, route[0], packet))
            except BlockingIOError:
                pass
            except OSError:
                epoll.unregister(descriptor)
                del tables[descriptor]
        now = clock()
        horizon = now + REST_S / 2
        while held and held[0][0] <= horizon:
            late_ms = (now - held[0][0]) * 1000
            released = 0
            while released < WRITE_BATCH and held and held[0][0] <= horizon:
                _, _, descriptor, packet = pop(held)
                released += 1
                try:
                    write(descriptor, packet)
                    counts.bytes += len(packet) - header
                except OSError as error:
                    if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                        counts.overflowed += 1
                    else:
                        counts.failed += 1
            counts.packets += released
            lateness[bisect_left(LATENESS_MS, late_ms)] += released
            counts.max_late_ms = max(counts.max_late_ms, late_ms)
            now = clock()
            horizon = now + REST_S / 2
            if now - looked > MAX_AWAY_S:
                break
        if now >= next_write:
            stats.write()
            next_write = now + STATS_INTERVAL_S
