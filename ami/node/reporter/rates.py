"""What happened between two moments: differences of counters, which may have started again at zero."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from ami.node.reporter.figures import Labels, Snapshot

IDLE_MODES: Final = frozenset(("idle", "iowait"))


def increase(before: float, after: float) -> float:
    """By how much a counter grew; one that is lower than before has started again at zero."""
    return after - before if after >= before else after


def increases(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[Labels, float]:
    """By how much the counters of a metric grew; those that were not there before are left out."""
    return {labels: increase(before[labels], value) for labels, value in after.items() if labels in before}


def total_increase(before: Snapshot, after: Snapshot, name: str) -> float | None:
    """By how much a metric's counters grew together, None when that cannot be said."""
    grown = increases(before.series(name), after.series(name))
    return sum(grown.values()) if grown else None


def busy_percent(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[str, float]:
    """How busy each core was, and `all` together (%): the share of time in which it was not idle.

    Time that another machine on the host took (`steal`) is no idle time. A core's time in a mode may go back
    a little (proc(5) says so of `iowait`), which counts as none.

    Args:
        before: seconds by core and mode.
        after: the same, later.
    """
    total: defaultdict[str, float] = defaultdict(float)
    busy: defaultdict[str, float] = defaultdict(float)
    for labels, value in after.items():
        core, mode = labels
        spent = max(0.0, value - before.get(labels, value))
        for name in (core, "all"):
            total[name] += spent
            busy[name] += spent if mode not in IDLE_MODES else 0.0
    return {name: 100 * busy[name] / total[name] for name in total if total[name] > 0}


def spread(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[float, int]:
    """How many events had which value between two moments, from a histogram's cumulative buckets.

    An event counts with the upper bound of its bucket, one above the last finite bound with that bound:
    the histogram does not say more. Histograms that were not there before are left out.

    Args:
        before: the counts by labels, the last of which is the bucket's upper bound.
        after: the same, later.
    """
    rows: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in after.items():
        rows[labels[:-1]].append((float(labels[-1]), value))
    events: Counter[float] = Counter()
    for labels, buckets in rows.items():
        buckets.sort()
        earlier = {float(key[-1]): value for key, value in before.items() if key[:-1] == labels}
        if not earlier:
            continue
        if any(value < earlier.get(bound, 0.0) for bound, value in buckets):
            earlier = {}
        for bound, count in _by_bucket(buckets, earlier):
            events[bound] += count
    return {value: count for value, count in sorted(events.items()) if count > 0}


def _by_bucket(
    buckets: list[tuple[float, float]], earlier: Mapping[float, float]
) -> Iterator[tuple[float, int]]:
    below = 0.0
    last_finite: float | None = None
    for bound, value in buckets:
        grown = value - earlier.get(bound, 0.0)
        if math.isfinite(bound):
            last_finite = bound
        if last_finite is not None:
            yield last_finite, round(grown - below)
        below = grown
