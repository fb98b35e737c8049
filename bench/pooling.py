"""One latency distribution out of several of which only the summaries are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bench.result import Summary

_POINTS: Final = (
    ("min", 0.0),
    ("p50", 0.50),
    ("p66", 0.66),
    ("p75", 0.75),
    ("p80", 0.80),
    ("p90", 0.90),
    ("p95", 0.95),
    ("p98", 0.98),
    ("p99", 0.99),
    ("p999", 0.999),
    ("max", 1.0),
)


def pooled(summaries: Sequence[Summary]) -> Summary | None:
    """All values of the summaries as one distribution; None when nothing was counted.

    Count, minimum, mean, standard deviation and maximum are exact. A percentile is read from the sum of the
    distributions, each of them a straight line between the percentiles that its summary holds.
    """
    counted = [s for s in summaries if s.count > 0 and s.mean is not None]
    if not counted:
        return None
    if len(counted) == 1:
        return counted[0]
    count = sum(s.count for s in counted)
    mean = sum(s.count * (s.mean or 0.0) for s in counted) / count
    square = sum(s.count * ((s.stddev or 0.0) ** 2 + ((s.mean or 0.0) - mean) ** 2) for s in counted) / count
    curves = [(s.count / count, _curve(s)) for s in counted]
    values = {name: _quantile(curves, fraction) for name, fraction in _POINTS}
    return Summary(count=count, mean=mean, stddev=math.sqrt(square), **values)


def _curve(summary: Summary) -> list[tuple[float, float]]:
    """The known points of the distribution: value and fraction, both rising."""
    points = [(getattr(summary, name), fraction) for name, fraction in _POINTS]
    return [(value, fraction) for value, fraction in points if value is not None]


def _below(curve: Sequence[tuple[float, float]], value: float) -> float:
    """The fraction of a distribution that is at most `value`."""
    if value < curve[0][0]:
        return 0.0
    for (low, before), (high, after) in pairwise(curve):
        if value < high:
            return before + (after - before) * (value - low) / (high - low)
    return 1.0


def _quantile(curves: Sequence[tuple[float, list[tuple[float, float]]]], fraction: float) -> float:
    """The least value that `fraction` of the mixture is at most, by bisection."""
    low = min(curve[0][0] for _, curve in curves)
    high = max(curve[-1][0] for _, curve in curves)
    if fraction >= 1:
        return high
    if sum(share * _below(curve, low) for share, curve in curves) >= fraction:
        return low
    for _ in range(80):
        middle = (low + high) / 2
        if sum(share * _below(curve, middle) for share, curve in curves) >= fraction:
            high = middle
        else:
            low = middle
    return high
