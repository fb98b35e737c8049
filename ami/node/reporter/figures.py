"""What is measured: metrics, their figures, and all figures of one moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["gauge", "counter", "histogram"]

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """A metric as Prometheus knows it: its name with its unit, a counter's with `_total`, and its labels."""

    name: str
    kind: Kind
    meaning: str
    labels: Labels = ()


@dataclass(frozen=True)
class Figure:
    """One value of a metric.

    Args:
        metric: what was measured.
        value: the value, in the unit that the metric's name ends with.
        labels: the values of the metric's labels, in their order.
        suffix: of a histogram's figure, which part of it this is: `_bucket`, `_sum` or `_count`.
    """

    metric: Metric
    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All figures of one moment; `at_s` is on the monotonic clock (s)."""

    at_s: float
    figures: tuple[Figure, ...]

    def series(self, name: str, suffix: str = "") -> dict[Labels, float]:
        """The values of a metric by their labels; empty when it could not be measured."""
        return {
            figure.labels: figure.value
            for figure in self.figures
            if figure.metric.name == name and figure.suffix == suffix
        }

    def value(self, metric: Metric) -> float | None:
        """The value of a metric without labels, None when it could not be measured."""
        return self.series(metric.name).get(())


class Collector(Protocol):
    """Measures one aspect of the machine."""

    @property
    def name(self) -> str:
        """By which its failure is known."""
        ...

    def collect(self) -> Iterable[Figure]:
        """What can be measured now.

        What was yielded before an exception counts. It has to give up by itself in time, but nobody waits
        for one that does not.
        """
        ...
