"""Latency distributions that can be merged: percentiles from an HDR histogram, moments exact."""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from typing import Final

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from bench.result import Curve, Summary

LARGEST_US: Final = 2 * 3600 * 1_000_000
"""Two hours: a longer latency enters the histogram as this; the exact maximum keeps its value."""

PERCENTILES: Final = {
    "p50": 50.0,
    "p66": 66.0,
    "p75": 75.0,
    "p80": 80.0,
    "p90": 90.0,
    "p95": 95.0,
    "p98": 98.0,
    "p99": 99.0,
    "p999": 99.9,
}
"""The percentiles of a summary, by their names there."""

_CURVE_PERCENTILES: Final = (
    *(float(p) for p in range(99)),
    *(99 + step / 10 for step in range(10)),
    99.95,
    99.99,
    100.0,
)


class HistogramState(Struct, frozen=True):
    """A histogram as it is written to a file: all values in microseconds, `counts` in HDR's V2 encoding."""

    count: int
    total: int
    squares: int
    least: int
    greatest: int
    counts: str


class Histogram:
    """Latencies in microseconds.

    Percentiles come from an HDR histogram from 1 us to 2 h with 3 significant digits. Count, sum and sum of
    squares are integers, so mean and standard deviation are exact, and pooling them over several
    histograms is an addition.
    """

    __slots__ = ("_counts", "_record", "count", "greatest", "least", "squares", "total")

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, LARGEST_US, 3)
        self._record = self._counts.record_value
        self.count = 0
        self.total = 0
        self.squares = 0
        self.least = LARGEST_US
        self.greatest = 0

    def record(self, value_us: int) -> None:
        """Count one value; below zero (clocks that differ) it counts as zero."""
        value_us = max(value_us, 0)
        self._record(min(value_us, LARGEST_US))
        self.count += 1
        self.total += value_us
        self.squares += value_us * value_us
        self.least = min(self.least, value_us)
        self.greatest = max(self.greatest, value_us)

    def add(self, other: Histogram) -> None:
        """Count all the values of another histogram too."""
        if not other.count:
            return
        self._counts.add(other._counts)
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def percentile_ms(self, percentile: float) -> float | None:
        """The value that this percentage of the values does not exceed (ms); None when there are none."""
        return self.percentiles_ms([percentile])[percentile] if self.count else None

    def percentiles_ms(self, percentiles: Iterable[float]) -> dict[float, float]:
        """Several of them in one pass, by their percentage (ms); empty when there are no values."""
        if not self.count:
            return {}
        values_us: dict[float, int] = self._counts.get_percentile_to_value_dict(list(percentiles))
        return {
            percentile: min(max(value_us, self.least), self.greatest) / 1000
            for percentile, value_us in values_us.items()
        }

    def summary(self) -> Summary:
        """The distribution in milliseconds, as the result format has it; `stddev` is the population's."""
        if not self.count:
            return Summary(count=0)
        percentiles_ms = self.percentiles_ms(PERCENTILES.values())
        variance_n2 = self.count * self.squares - self.total * self.total
        return Summary(
            count=self.count,
            min=self.least / 1000,
            mean=_ms(self.total / self.count),
            stddev=_ms(isqrt(variance_n2) / self.count),
            max=self.greatest / 1000,
            **{name: percentiles_ms[percentile] for name, percentile in PERCENTILES.items()},
        )

    def curve(self) -> Curve:
        """About a hundred points of the cumulative distribution, denser towards the end; for plots."""
        values_ms = self.percentiles_ms(_CURVE_PERCENTILES)
        return Curve(list(values_ms.values()), [percentile / 100 for percentile in values_ms])

    def state(self) -> HistogramState:
        """The histogram as a value that can be written down."""
        encoded = self._counts.encode().decode("ascii")
        return HistogramState(self.count, self.total, self.squares, self.least, self.greatest, encoded)

    @classmethod
    def of(cls, state: HistogramState) -> Histogram:
        """The histogram that was written down."""
        histogram = cls()
        if state.count:
            histogram._counts.decode_and_add(state.counts)
        histogram.count = state.count
        histogram.total = state.total
        histogram.squares = state.squares
        histogram.least = state.least
        histogram.greatest = state.greatest
        return histogram


def merged(states: Iterable[HistogramState]) -> Histogram:
    """All the values of several histograms in one."""
    whole = Histogram()
    for state in states:
        whole.add(Histogram.of(state))
    return whole


def _ms(value_us: float) -> float:
    return round(value_us) / 1000
