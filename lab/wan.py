"""The emulated WAN: one process that passes packets between the hosts' devices after the pair's delay.

`python -m lab.wan CONFIG.json` makes the devices, prints `ready`, and forwards until SIGTERM. It emulates
delay, and if asked jitter and loss; no bandwidth and no queueing of its own.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from lab import namespaces, tun, wan_control
from lab.errors import LabError
from lab.forwarding import Port, forward
from lab.wan_control import Effect, Rule
from lab.wanstats import StatsFile

NETWORK_BITS: Final = 15
"""198.18.0.0/15 is reserved for benchmarks (RFC 2544)."""

_PR_SET_TIMERSLACK: Final = 29


class Endpoint(Struct, frozen=True):
    """A host on the WAN: its namespace, its region and its address."""

    namespace: str
    region: str
    address: str


class Config(Struct, frozen=True):
    """What the process is told; `rtt_ms` is a list of (from, to, round trip) over regions.

    With a `control_socket` the impairments of pairs of hosts can be changed while it runs.
    """

    hosts: list[Endpoint]
    rtt_ms: list[tuple[str, str, float]]
    jitter_ms: float
    loss: float
    seed: int
    stats_file: str
    control_socket: str | None = None


class Impairment:
    """Jitter, loss and further delay.

    A packet is lost with the effect's probability; one that is not lost comes after the further delay and up
    to the jitter after its time, uniformly, and never before one that was sent earlier between the same two
    hosts.

    Attributes:
        effects: by pair of devices what differs there from the effect on all others; may be replaced.
    """

    def __init__(self, effect: Effect, seed: int) -> None:
        self.effects: Mapping[tuple[int, int], Effect] = {}
        self._usual = effect
        self._random = Random(seed)  # noqa: S311 (an emulation has to be repeatable)
        self._last: dict[tuple[int, int], float] = {}

    def release(self, source: int, destination: int, due_s: float) -> float | None:
        """The time to release a packet that is due at `due_s`, or none when it is lost."""
        random = self._random.random
        pair = source, destination
        loss, delay_s, jitter_s = self.effects.get(pair, self._usual)
        if random() < loss:
            return None
        at_s = max(due_s + delay_s + random() * jitter_s, self._last.get(pair, 0.0))
        self._last[pair] = at_s
        return at_s


def routes(
    hosts: Sequence[Endpoint], rtt_ms: Mapping[tuple[str, str], float]
) -> list[dict[bytes, tuple[int, float]]]:
    """For each host: by a packet's destination address, the index of that host and the delay there (s).

    The delay is half the round trip that the matrix has for the ordered pair of regions.
    """
    packed = [IPv4Address(host.address).packed for host in hosts]
    return [
        {
            packed[index]: (index, rtt_ms[source.region, destination.region] / 2000)
            for index, destination in enumerate(hosts)
            if destination is not source
        }
        for source in hosts
    ]


def main(arguments: Sequence[str]) -> None:
    """Runs the WAN that the configuration file describes."""
    config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Config)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    impairment = None
    if config.jitter_ms or config.loss or config.control_socket:
        impairment = Impairment(Effect(config.loss, 0.0, config.jitter_ms / 1000), config.seed)
    offload = impairment is None
    tun.loopback_up()
    attached = [_attach(host, offload=offload) for host in config.hosts]
    descriptors = [descriptor for descriptor, _ in attached]
    table = routes(config.hosts, {(a, b): rtt for a, b, rtt in config.rtt_ms})
    ports = [
        Port(fd, {address: (descriptors[index], delay_s) for address, (index, delay_s) in row.items()})
        for fd, row in zip(descriptors, table, strict=True)
    ]
    if impairment is not None and config.control_socket:
        devices = {
            host.namespace.partition(".")[2]: fd for host, fd in zip(config.hosts, descriptors, strict=True)
        }
        _listen(Path(config.control_socket), devices, impairment)
    stats = StatsFile(Path(config.stats_file), lambda: sum(tun.dropped(counters) for _, counters in attached))
    _go_first()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        forward(ports, header=tun.HEADER if offload else 0, impairment=impairment, stats=stats)
    finally:
        stats.write()


def _listen(path: Path, devices: Mapping[str, int], impairment: Impairment) -> None:
    """Changes the impairment when a request asks for it."""

    def apply(rules: Sequence[Rule]) -> None:
        impairment.effects = wan_control.effects(rules, devices)

    wan_control.serve(path, apply)


def _attach(host: Endpoint, *, offload: bool) -> tuple[int, int]:
    """Makes the host's device; returns it and its counters."""
    with namespaces.entered(host.namespace):
        namespaces.tune()
        device = tun.create(IPv4Interface(f"{host.address}/{NETWORK_BITS}"), offload=offload)
        return device, tun.open_counters()


def _go_first() -> None:
    """Has the scheduler run this process before others: what a busy machine delays is not the network."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LabError as error:
        sys.exit(f"the WAN cannot start: {error}")
