"""What a process says of itself to Prometheus, at `/metrics` of its own listener."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""From a read of the nearest Redis to a write across the world that had to be tried again."""

LATE_BUCKETS_MS: Final = (1, 2.5, 5, 10, 25, 50, 100, 150, 200, 300, 500, 1000, 2500, 10_000)
"""From the next room to a broadcast that a full loop holds up; the longest one-way delay is some 160 ms."""

OK: Final = "ok"


class Metrics:
    """The counters of a process, and the gauges that are read when somebody asks.

    Args:
        gauges: what to read at each scrape: its name, what it is, and how it is read.
    """

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(gauges))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Counter(
            "market_requests", "requests by type and result", ("type", "code"), registry=self._registry
        )
        self._seconds = Histogram(
            "market_request_seconds",
            "from a request's arrival to its reply",
            ("type",),
            buckets=REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self._late = Histogram(
            "market_broadcast_late_ms",
            "from a push's publication until the process has sent it to all",
            buckets=LATE_BUCKETS_MS,
            registry=self._registry,
        )
        self._deliveries = Counter(
            "market_deliveries", "pushes handed to connections", registry=self._registry
        )
        self._of_type: dict[str, tuple[Counter, Histogram]] = {}

    def answered(self, kind: str, code: int | None, seconds: float) -> None:
        """A request of a type was answered: with an error's code, or None when it was done."""
        found = self._of_type.get(kind)
        if found is None:
            found = self._of_type[kind] = (self._requests.labels(kind, OK), self._seconds.labels(kind))
        done, histogram = found
        if code is None:
            done.inc()
        else:
            self._requests.labels(kind, str(code)).inc()
        histogram.observe(seconds)

    def sent(self, late_ms: float, listeners: int) -> None:
        """A push was sent to all who listen."""
        self._late.observe(late_ms)
        self._deliveries.inc(listeners)

    def page(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
