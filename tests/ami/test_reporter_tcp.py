"""TCP sockets by state, counted cheaply."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ami.node.reporter import tcp_states
from ami.node.reporter.collectors.sockets import COUNTERS, SOCKETS, Sockets
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Snapshot
from tests.service.conftest import until


def states() -> dict[str, float]:
    snapshot = Snapshot(0, tuple(Sockets().collect()))
    return {labels[0]: count for labels, count in snapshot.series(SOCKETS.name).items()}


@contextlib.contextmanager
def connections(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        pairs = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            pairs.append((client, stack.enter_context(listener.accept()[0])))
        yield pairs


def test_states_that_the_kernel_does_not_count_are_told_apart() -> None:
    before = states()
    with connections(40) as pairs:
        for _, accepted in pairs[:20]:
            accepted.shutdown(socket.SHUT_WR)
        now = states()
        assert now["listen"] - before["listen"] >= 1
        assert now["close-wait"] - before["close-wait"] >= 20
        closed = {"fin-wait-1", "fin-wait-2"}
        assert sum(now[state] - before[state] for state in closed) >= 20
        assert now["established"] - before["established"] >= 40
        for client, _ in pairs[:20]:
            client.shutdown(socket.SHUT_WR)
        assert states()["time-wait"] - before["time-wait"] >= 20


def test_one_that_its_process_left_waits_for_the_others_end() -> None:
    with connections(20) as pairs:
        before = states()
        for client, accepted in pairs:
            accepted.close()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        until(lambda: states()["fin-wait-2"] - before["fin-wait-2"] >= 20, "the acknowledgements")
        assert states()["time-wait"] - before["time-wait"] < 20


def test_twenty_thousand_sockets_are_cheap() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with connections(min(10_000, hard // 2 - 100)):
            list(Sockets().collect())
            begun = time.process_time()
            list(Sockets().collect())
            cheap_s = time.process_time() - begun
            begun = time.process_time()
            Path("/proc/net/tcp").read_bytes()
            read_s = time.process_time() - begun
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert cheap_s < 0.05
    assert cheap_s < read_s / 2


def test_established_ones_are_those_that_do_not_wait_for_their_end() -> None:
    others = {"close-wait": 3, "listen": 2, "fin-wait-2": 2, tcp_states.LEFT_IN_FIN_WAIT: 1}
    counted = tcp_states.tcp_states(others, current=10, time_wait=5)
    assert {state: count for state, count in counted.items() if count} == {
        "established": 7,
        "close-wait": 3,
        "listen": 2,
        "fin-wait-2": 2,
        "time-wait": 4,
    }


def message(kind: int, body: bytes, length: int | None = None) -> bytes:
    size = 16 + len(body) if length is None else length
    return struct.pack("=IHHII", size, kind, 0, 1, 0) + body


def of_state(number: int) -> bytes:
    return message(20, bytes((socket.AF_INET, number)) + bytes(70))


def test_the_kernels_answer_is_counted_by_state() -> None:
    counts: Counter[str] = Counter()
    assert not tcp_states.count_messages(of_state(10) + of_state(10) + of_state(12), counts)
    assert tcp_states.count_messages(of_state(8) + message(3, bytes(4)), counts)
    assert counts == {"listen": 2, "syn-recv": 1, "close-wait": 1}


def test_a_refusal_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        tcp_states.count_messages(message(2, struct.pack("=i", -errno.ENOENT)), Counter())


@pytest.mark.parametrize("length", [0, 15, 1000])
def test_an_answer_that_breaks_off_is_refused(length: int) -> None:
    with pytest.raises(MeasuringError, match="breaks off"):
        tcp_states.count_messages(message(20, bytes(72), length), Counter())


def test_the_running_kernel_has_every_counter() -> None:
    measured = {figure.metric for figure in Sockets().collect()}
    assert set(COUNTERS.values()) <= measured


def test_counters_are_measured_where_the_states_are_not() -> None:
    def ask() -> dict[str, int]:
        raise MeasuringError("no diagnostics")

    measured: list[Figure] = []
    with pytest.raises(MeasuringError, match="no diagnostics"):
        measured.extend(Sockets(ask=ask).collect())
    metrics = {figure.metric for figure in measured}
    assert set(COUNTERS.values()) <= metrics
    assert SOCKETS not in metrics
