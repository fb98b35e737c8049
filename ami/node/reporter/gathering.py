"""All collectors together: side by side, each for itself, none waited for too long."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ami.errors import AmiError
from ami.node.reporter import concurrently, rates
from ami.node.reporter.collectors import machine
from ami.node.reporter.figures import Collector, Figure, Metric, Snapshot

_log = logging.getLogger(__name__)

DEADLINE_S: Final = 5.0
"""How long a collector may take; Prometheus gives a scrape 10 s."""

MAX_AGE_S: Final = 5.0
"""For how long figures are answered again instead of measured: the limit of what scrapes can cost."""

COLLECTOR_UP: Final = Metric(
    "isochrone_reporter_collector_up", "gauge", "1 when a collector measured all it can", ("collector",)
)
COLLECTOR_SECONDS: Final = Metric(
    "isochrone_reporter_collector_seconds", "gauge", "how long a collector took", ("collector",)
)
COLLECTOR_FAILURES: Final = Metric(
    "isochrone_reporter_collector_failures_total", "counter", "measurements that failed", ("collector",)
)
CPU_BUSY: Final = Metric(
    "isochrone_cpu_busy_percent",
    "gauge",
    "how busy a core, or all together, were since the measurement before",
    ("cpu",),
)


@dataclass
class _Run:
    """One collector at work; `problem` is why it failed."""

    collector: Collector
    figures: list[Figure] = field(default_factory=list)
    took_s: float | None = None
    problem: str | None = None
    thread: threading.Thread | None = None

    def do(self) -> None:
        begun = time.monotonic()
        try:
            for figure in self.collector.collect():
                self.figures.append(figure)
        except AmiError as error:
            self.problem = str(error)
        except Exception as error:  # whatever one collector meets must not silence the others
            self.problem = f"{type(error).__name__}: {error}"
        self.took_s = time.monotonic() - begun


class Gatherer:
    """Measures everything, at most every `max_age_s`, and remembers who fails.

    Args:
        collectors: what measures, each under a name of its own.
        deadline_s: how long one may take.
        max_age_s: for how long a measurement counts as the present one.
        now_s: the monotonic clock.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        deadline_s: float = DEADLINE_S,
        max_age_s: float = MAX_AGE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collectors = collectors
        self._deadline_s = deadline_s
        self._max_age_s = max_age_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._last: Snapshot | None = None
        self._late: dict[str, threading.Thread] = {}
        self._problems: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    def snapshot(self) -> Snapshot:
        """All figures, measured now or a moment ago."""
        with self._lock:
            if self._last is None or self._now_s() - self._last.at_s >= self._max_age_s:
                self._last = self._measured(self._last)
            return self._last

    def _measured(self, before: Snapshot | None) -> Snapshot:
        at_s = self._now_s()
        runs = [_Run(collector) for collector in self._collectors]
        for run in runs:
            late = self._late.pop(run.collector.name, None)
            if late is not None and late.is_alive():
                self._late[run.collector.name] = late
                run.problem = "has not ended the measurement before"
            else:
                run.thread = concurrently.start(run.do, f"collector-{run.collector.name}")
        concurrently.wait_for([run.thread for run in runs if run.thread], self._deadline_s)
        figures = [figure for run in runs for figure in self._outcome(run)]
        now = Snapshot(at_s, tuple(figures))
        return Snapshot(at_s, (*figures, *_cpu_busy(before, now)))

    def _outcome(self, run: _Run) -> Iterator[Figure]:
        name = run.collector.name
        if run.thread is not None and run.thread.is_alive():
            self._late[name] = run.thread
            run.problem = f"has not ended after {self._deadline_s:g} s"
        problem = run.problem
        yield from list(run.figures)
        yield Figure(COLLECTOR_UP, problem is None, (name,))
        if run.took_s is not None:
            yield Figure(COLLECTOR_SECONDS, run.took_s, (name,))
        self._failures[name] += problem is not None
        yield Figure(COLLECTOR_FAILURES, self._failures[name], (name,))
        self._tell(name, problem)

    def _tell(self, name: str, problem: str | None) -> None:
        """A line when a collector begins to fail, fails otherwise than before, or is well again."""
        if problem == self._problems.get(name):
            return
        if problem is None:
            del self._problems[name]
            _log.info("%s can be measured again", name)
        else:
            self._problems[name] = problem
            _log.warning("%s cannot be measured: %s", name, problem)


def _cpu_busy(before: Snapshot | None, after: Snapshot) -> Iterator[Figure]:
    if before is not None:
        seconds = machine.CPU_SECONDS.name
        for core, percent in rates.busy_percent(before.series(seconds), after.series(seconds)).items():
            yield Figure(CPU_BUSY, percent, (core,))
