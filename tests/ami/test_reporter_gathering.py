"""Collectors together: none silences the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from ami.node.reporter import gathering
from ami.node.reporter.collectors import machine
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.gathering import Gatherer

SOME = Metric("some", "gauge", "something")
OTHER = Metric("other", "gauge", "something else")


@dataclass
class Fake:
    name: str
    figures: Callable[[], Iterator[Figure]]

    def collect(self) -> Iterator[Figure]:
        return self.figures()


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def well() -> Iterator[Figure]:
    yield Figure(OTHER, 2)


def test_one_that_fails_keeps_what_it_had_and_the_others_measure(caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> Iterator[Figure]:
        yield Figure(SOME, 1)
        raise MeasuringError("Redis does not answer")

    snapshot = Gatherer([Fake("failing", failing), Fake("well", well)]).snapshot()
    assert snapshot.value(SOME) == 1
    assert snapshot.value(OTHER) == 2
    assert snapshot.series(gathering.COLLECTOR_UP.name) == {("failing",): 0, ("well",): 1}
    assert snapshot.series(gathering.COLLECTOR_FAILURES.name) == {("failing",): 1, ("well",): 0}
    assert caplog.messages == ["failing cannot be measured: Redis does not answer"]


def test_whatever_one_meets_does_not_silence_the_others() -> None:
    def failing() -> Iterator[Figure]:
        raise ZeroDivisionError("oh")
        yield

    snapshot = Gatherer([Fake("failing", failing), Fake("well", well)]).snapshot()
    assert snapshot.value(OTHER) == 2
    assert snapshot.value(SOME) is None


def test_one_that_does_not_end_is_not_waited_for_and_not_begun_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on, calls = threading.Event(), []

    def hanging() -> Iterator[Figure]:
        calls.append(1)
        yield Figure(SOME, 1)
        go_on.wait()

    clock = Clock()
    gatherer = Gatherer([Fake("hanging", hanging), Fake("well", well)], 0.05, 5, clock)
    first = gatherer.snapshot()
    assert (first.value(SOME), first.value(OTHER)) == (1, 2)
    clock.now_s = 10
    second = gatherer.snapshot()
    assert (second.value(SOME), second.value(OTHER)) == (None, 2)
    assert second.series(gathering.COLLECTOR_FAILURES.name)["hanging",] == 2
    assert calls == [1]
    go_on.set()
    assert caplog.messages == [
        "hanging cannot be measured: has not ended after 0.05 s",
        "hanging cannot be measured: has not ended the measurement before",
    ]


def test_a_failure_is_logged_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    down = True

    def sometimes() -> Iterator[Figure]:
        if down:
            raise MeasuringError("no")
        yield Figure(SOME, 1)

    clock = Clock()
    gatherer = Gatherer([Fake("sometimes", sometimes)], now_s=clock)
    for at_s in (0, 10, 20):
        clock.now_s = at_s
        gatherer.snapshot()
    down = False
    clock.now_s = 30
    gatherer.snapshot()
    assert caplog.messages == ["sometimes cannot be measured: no", "sometimes can be measured again"]


def test_scrapes_in_short_order_are_answered_from_one_measurement() -> None:
    calls = []

    def counting() -> Iterator[Figure]:
        calls.append(1)
        yield Figure(SOME, len(calls))

    clock = Clock()
    gatherer = Gatherer([Fake("counting", counting)], max_age_s=5, now_s=clock)
    values = []
    for at_s in (0, 4.9, 5, 9, 10):
        clock.now_s = at_s
        values.append(gatherer.snapshot().value(SOME))
    assert values == [1, 1, 2, 2, 3]


def test_cores_are_busy_since_the_measurement_before() -> None:
    times = iter([(1.0, 1.0), (4.0, 2.0)])

    def cpu() -> Iterator[Figure]:
        user, idle = next(times)
        yield Figure(machine.CPU_SECONDS, user, ("0", "user"))
        yield Figure(machine.CPU_SECONDS, idle, ("0", "idle"))

    clock = Clock()
    gatherer = Gatherer([Fake("cpu", cpu)], now_s=clock)
    assert gatherer.snapshot().series(gathering.CPU_BUSY.name) == {}
    clock.now_s = 15
    assert gatherer.snapshot().series(gathering.CPU_BUSY.name) == {("0",): 75.0, ("all",): 75.0}
