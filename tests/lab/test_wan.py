from __future__ import annotations

import hashlib
import os
import selectors
import signal
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.regions import REGIONS, matrix
from lab import tun, wan_control, wanstats
from lab.errors import WorldError
from lab.forwarding import REST_S
from lab.wan import Endpoint, Impairment, routes
from lab.wan_control import Effect, Rule
from lab.wanstats import LATENESS_MS, StatsFile, WanStats
from lab.world import Host, World, status
from tests.lab.worlds import DISTANT, PAIR, eventually, inside, lab_name, receive, udp

ROUNDS = 15
EARLY_MS = REST_S * 1000 + 0.1
LATE_MS = 1.0


class TestRoutes:
    def test_a_packet_takes_half_the_round_trip_of_its_own_direction(self) -> None:
        hosts = [Endpoint("lab.a", "a", "198.18.0.1"), Endpoint("lab.b", "b", "198.18.0.2")]
        rtt_ms = {("a", "a"): 1.0, ("a", "b"): 30.0, ("b", "a"): 10.0, ("b", "b"): 1.0}
        there, back = routes(hosts, rtt_ms)
        assert there == {IPv4Address("198.18.0.2").packed: (1, 0.015)}
        assert back == {IPv4Address("198.18.0.1").packed: (0, 0.005)}

    def test_hosts_of_one_region_are_as_far_apart_as_its_own_entry_says(self) -> None:
        hosts = [Endpoint("lab.a", "a", "198.18.0.1"), Endpoint("lab.b", "a", "198.18.0.2")]
        assert [delay for row in routes(hosts, {("a", "a"): 4.0}) for _, delay in row.values()] == [
            0.002,
            0.002,
        ]


class TestImpairment:
    @given(
        jitter_s=st.floats(0, 1),
        sent=st.lists(st.floats(0, 10), min_size=1, max_size=50).map(sorted),
        seed=st.integers(0, 1000),
    )
    def test_keeps_the_order_of_a_pair_and_never_hurries_a_packet(
        self, jitter_s: float, sent: list[float], seed: int
    ) -> None:
        impairment = Impairment(Effect(0.0, 0.0, jitter_s), seed)
        released = [impairment.release(1, 2, due) for due in sent]
        times = [at for at in released if at is not None]
        assert len(times) == len(sent)
        assert times == sorted(times)
        assert all(due <= at <= due + jitter_s for due, at in zip(sent, times, strict=True))

    def test_the_same_seed_has_the_same_fate(self) -> None:
        def fate(seed: int) -> list[float | None]:
            impairment = Impairment(Effect(0.5, 0.0, 0.1), seed)
            return [impairment.release(1, 2, float(number)) for number in range(50)]

        assert fate(7) == fate(7)
        assert fate(7) != fate(8)

    def test_loses_all_when_told_so(self) -> None:
        impairment = Impairment(Effect(1.0, 0.0, 0.0), 1)
        assert {impairment.release(1, 2, float(i)) for i in range(100)} == {None}


class TestWanStats:
    def test_what_happened_since_is_the_difference(self) -> None:
        earlier = WanStats(packets=5, bytes=50, lateness=[5, 0, 0, 0, 0, 0, 0, 0])
        later = WanStats(packets=9, bytes=80, lateness=[6, 1, 0, 2, 0, 0, 0, 0], max_late_ms=9.0)
        since = later.since(earlier)
        assert (since.packets, since.bytes, since.max_late_ms) == (4, 30, 9.0)
        assert since.lateness == [1, 1, 0, 2, 0, 0, 0, 0]

    def test_counts_what_was_later_than_a_bound(self) -> None:
        stats = WanStats(lateness=[1, 2, 4, 8, 16, 32, 64, 128])
        assert [stats.later_than(bound) for bound in LATENESS_MS] == [254, 252, 248, 240, 224, 192, 128]

    def test_what_is_written_can_be_read_and_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "stats.json"
        file = StatsFile(path)
        file.stats.packets = 123_456
        file.write()
        file.stats.packets = 7
        file.write()
        read = wanstats.read(path)
        assert read is not None
        assert read.packets == 7

    def test_there_are_none_without_a_file(self, tmp_path: Path) -> None:
        assert wanstats.read(tmp_path / "none.json") is None


@pytest.mark.parametrize("year", ["2017", "2024"])
def test_every_ordered_pair_of_regions_is_as_far_apart_as_the_matrix_says(year: str, tmp_path: Path) -> None:
    rtt_ms = matrix(year).rtt_ms
    senders = [Host(f"from-{r}", r, f"198.18.{i}.1") for i, r in enumerate(REGIONS)]
    receivers = [Host(f"to-{r}", r, f"198.18.{i}.2") for i, r in enumerate(REGIONS)]
    with World.create(lab_name(), tmp_path, [*senders, *receivers], rtt_ms) as world:
        one_way_ms = _one_way_ms(world, senders, receivers)
    assert one_way_ms.keys() == rtt_ms.keys()
    wrong = {
        pair: (rtt_ms[pair] / 2, measured)
        for pair, measured in one_way_ms.items()
        if not -EARLY_MS <= measured - rtt_ms[pair] / 2 <= LATE_MS
    }
    assert wrong == {}


def _one_way_ms(world: World, senders: list[Host], receivers: list[Host]) -> Mapping[tuple[str, str], float]:
    """The median delay of each ordered pair of regions, from the send call to the arrival in the kernel."""
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    order = Random(1)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        out = {host.region: stack.enter_context(udp(world, host.name)) for host in senders}
        into = {host.region: stack.enter_context(udp(world, host.name)) for host in receivers}
        for region, endpoint in into.items():
            selector.register(endpoint, selectors.EVENT_READ, region)
        pairs = [(a, b) for a in out for b in into]
        for _ in range(ROUNDS):
            order.shuffle(pairs)
            for a, b in pairs:
                out[a].sendto(struct.pack("d16s", time.time(), a.encode()), into[b].getsockname())
                _collect(selector, samples, timeout_s=0.0005)
        while sum(map(len, samples.values())) < ROUNDS * len(pairs):
            assert _collect(selector, samples, timeout_s=2), "packets are missing"
    return {pair: median(values) for pair, values in samples.items()}


def _collect(
    selector: selectors.BaseSelector, samples: dict[tuple[str, str], list[float]], timeout_s: float
) -> bool:
    ready = selector.select(timeout_s)
    for key, _ in ready:
        assert isinstance(key.fileobj, socket.socket)
        data, arrived = receive(key.fileobj)
        sent, name = struct.unpack("d16s", data)
        samples[name.rstrip(b"\0").decode(), key.data].append((arrived - sent) * 1000)
    return bool(ready)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two hosts, 20 ms apart."""
    with World.create(lab_name(), tmp_path_factory.mktemp("world"), PAIR, DISTANT) as made:
        yield made


def test_a_tcp_connection_takes_one_round_trip(world: World) -> None:
    took_ms = []
    with inside(world, "left", socket.SOCK_STREAM) as listener:
        listener.bind(("198.18.1.1", 0))
        listener.listen()
        for _ in range(5):
            with inside(world, "right", socket.SOCK_STREAM) as client:
                began = time.monotonic()
                client.connect(listener.getsockname())
                took_ms.append((time.monotonic() - began) * 1000)
            listener.accept()[0].close()
    assert 40 - 2 * EARLY_MS <= min(took_ms) <= 43


def _send_all(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def test_a_bulk_transfer_arrives_whole_and_fast(world: World) -> None:
    sent = Random(1).randbytes(20_000_000)
    received = hashlib.sha256()
    with inside(world, "left", socket.SOCK_STREAM) as listener:
        listener.bind(("198.18.1.1", 0))
        listener.listen()
        with inside(world, "right", socket.SOCK_STREAM) as client:
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            sender = threading.Thread(target=_send_all, args=(client, sent))
            began = time.monotonic()
            sender.start()
            with server:
                server.settimeout(20)
                while data := server.recv(1 << 20):
                    received.update(data)
            took_s = time.monotonic() - began
            sender.join()
    assert received.digest() == hashlib.sha256(sent).digest()
    assert took_s < 10, "slower than 2 MB/s"


def test_a_burst_arrives_in_order_and_is_through_at_once(world: World) -> None:
    with udp(world, "left") as source, udp(world, "right") as target:
        began = time.time()
        for number in range(2400):
            source.sendto(number.to_bytes(4, "big").ljust(120), target.getsockname())
        sent_s = time.time() - began
        arrivals = [receive(target) for _ in range(2400)]
    assert [int.from_bytes(data[:4], "big") for data, _ in arrivals] == list(range(2400))
    last_ms = (arrivals[-1][1] - began - sent_s) * 1000
    assert last_ms - 20 < 100


def test_what_goes_to_an_address_that_nobody_has_is_counted_and_dropped(world: World) -> None:
    before = world.wan_stats()
    with udp(world, "left") as source, udp(world, "right") as target:
        source.sendto(b"nobody", ("198.19.0.1", 9))
        source.sendto(b"somebody", target.getsockname())
        assert receive(target)[0] == b"somebody"
    eventually(lambda: world.wan_stats().since(before).unroutable == 1)


def test_packets_that_the_wan_has_no_time_to_read_are_counted(tmp_path: Path) -> None:
    with World.create(lab := lab_name(), tmp_path, PAIR, DISTANT) as world, udp(world, "left") as source:
        (wan,) = (p.pid for p in status(lab, tmp_path).processes if p.process == "wan")
        os.kill(wan, signal.SIGSTOP)
        try:
            with suppress(BlockingIOError):
                for _ in range(3 * tun.QUEUE_LENGTH):
                    source.sendto(b"", ("198.18.2.1", 9))
        finally:
            os.kill(wan, signal.SIGCONT)
        eventually(lambda: world.wan_stats().packets >= tun.QUEUE_LENGTH)
        eventually(lambda: world.wan_stats().overflowed > 0)


def test_the_counters_say_what_was_forwarded(world: World) -> None:
    before = world.wan_stats()
    with udp(world, "left") as source, udp(world, "right") as target:
        for _ in range(50):
            source.sendto(bytes(100), target.getsockname())
        for _ in range(50):
            receive(target)
    eventually(lambda: world.wan_stats().since(before).packets >= 50)
    since = world.wan_stats().since(before)
    assert (since.packets, since.bytes) == (50, 50 * (20 + 8 + 100))
    assert sum(since.lateness) == 50
    assert (since.lost, since.failed, since.overflowed) == (0, 0, 0)


def test_jitter_delays_further_and_keeps_the_order(tmp_path: Path) -> None:
    with (
        World.create(lab_name(), tmp_path, PAIR, DISTANT, jitter_ms=30.0) as world,
        udp(world, "left") as source,
        udp(world, "right") as target,
    ):
        delays_ms = []
        for number in range(40):
            source.sendto(struct.pack("di", time.time(), number), target.getsockname())
            time.sleep(0.002)
        for expected in range(40):
            data, arrived = receive(target)
            sent, number = struct.unpack("di", data)
            assert number == expected
            delays_ms.append((arrived - sent) * 1000)
    assert min(delays_ms) >= 20 - EARLY_MS
    assert max(delays_ms) > 30
    assert median(delays_ms) < 55


def test_loss_takes_its_share_and_tcp_lives_with_it(tmp_path: Path) -> None:
    with World.create(lab_name(), tmp_path, PAIR, DISTANT, loss=0.1) as world:
        with udp(world, "left") as source, udp(world, "right") as target:
            for _ in range(2000):
                source.sendto(bytes(100), target.getsockname())
            eventually(lambda: (stats := world.wan_stats()).lost + stats.packets == 2000)
            lost = world.wan_stats().lost
            for _ in range(2000 - lost):
                receive(target)
            target.setblocking(False)
            with pytest.raises(BlockingIOError):
                target.recv(1)
        assert 120 <= lost <= 280, "six standard deviations around 200"
        with (
            inside(world, "left", socket.SOCK_STREAM) as listener,
            inside(world, "right", socket.SOCK_STREAM) as client,
        ):
            listener.bind(("198.18.1.1", 0))
            listener.listen()
            client.settimeout(20)
            client.connect(listener.getsockname())
            server, _ = listener.accept()
            with server:
                client.sendall(bytes(50_000))
                client.shutdown(socket.SHUT_WR)
                server.settimeout(20)
                got = 0
                while data := server.recv(65_536):
                    got += len(data)
            assert got == 50_000


class TestEffects:
    DEVICES: Mapping[str, int] = {"left": 3, "right": 4, "core": 5}

    def test_a_rule_is_about_each_pair_in_one_direction_and_the_last_one_holds(self) -> None:
        rules = [
            Rule(("left", "core"), ("right",), loss=1.0),
            Rule(("left",), ("right",), delay_ms=20.0, jitter_ms=5.0),
        ]
        assert wan_control.effects(rules, self.DEVICES) == {
            (3, 4): Effect(0.0, 0.02, 0.005),
            (5, 4): Effect(1.0, 0.0, 0.0),
        }

    @pytest.mark.parametrize(
        ("rule", "advice"),
        [
            (Rule(("left",), ("nobody",)), "nobody; it has left, right, core"),
            (Rule(("left",), ("right",), loss=1.1), "between 0 and 1"),
            (Rule(("left",), ("right",), delay_ms=-1), "negative"),
        ],
    )
    def test_mistakes_are_refused(self, rule: Rule, advice: str) -> None:
        with pytest.raises(WorldError, match=advice):
            wan_control.effects([rule], self.DEVICES)


def test_impairments_change_while_it_runs(tmp_path: Path) -> None:
    with (
        World.create(lab_name(), tmp_path, PAIR, DISTANT, adjustable=True) as world,
        udp(world, "left") as source,
        udp(world, "right") as target,
    ):
        target.settimeout(5)
        source.sendto(b"before", target.getsockname())
        assert receive(target)[0] == b"before"

        world.impair([Rule(("left",), ("right",), loss=1.0)])
        source.sendto(b"lost", target.getsockname())
        eventually(lambda: world.wan_stats().lost == 1)
        target.sendto(b"back", source.getsockname())
        assert receive(source)[0] == b"back"

        world.impair([Rule(("left",), ("right",), delay_ms=60.0)])
        sent = time.time()
        source.sendto(b"late", target.getsockname())
        data, arrived = receive(target)
        assert data == b"late"
        assert (arrived - sent) * 1000 >= 20 + 60 - EARLY_MS

        world.impair([])
        source.sendto(b"after", target.getsockname())
        assert receive(target)[0] == b"after"
        with pytest.raises(WorldError, match="no host nobody"):
            world.impair([Rule(("left",), ("nobody",))])
        assert world.wan_stats().lost == 1


def test_a_world_that_was_not_asked_to_be_adjustable_is_not(world: World) -> None:
    with pytest.raises(WorldError, match="cannot be changed"):
        world.impair([])
