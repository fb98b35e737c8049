"""Whether the machine that carries the load was itself the bottleneck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import psutil

from bench.histogram import Histogram
from bench.result import Generator

LAG_LIMIT_MS: Final = 50.0
"""A generator whose lag has a 98th percentile above this did not put the load that it was asked for."""

BUSY_LIMIT: Final = 0.95
"""Above this share of the CPU time in use, what is measured is the machine's queueing."""


class CpuTimes(NamedTuple):
    """The machine's CPU time since it booted, over all its CPUs (s)."""

    busy_s: float
    total_s: float


def cpu_times() -> CpuTimes:
    """The machine's CPU time until now; what a hypervisor took away (steal) counts as busy."""
    times = psutil.cpu_times()
    busy_s = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return CpuTimes(busy_s, busy_s + times.idle + times.iowait)


def busy(before: CpuTimes, after: CpuTimes) -> float | None:
    """The share of the CPU time in use between two moments (0 to 1); None when no time passed."""
    total_s = after.total_s - before.total_s
    if total_s <= 0:
        return None
    return min(max((after.busy_s - before.busy_s) / total_s, 0.0), 1.0)


def judge(lag: Histogram, whole: float | None, phases: Mapping[str, float | None]) -> Generator:
    """How well the load was generated.

    Args:
        lag: how late each action was begun.
        whole: the share of the machine's CPU time in use over the run.
        phases: the same for its phases, by their names; each is judged, since a ramp may saturate the
            machine in a run that does not on average.
    """
    reasons = []
    lag_p98_ms = lag.percentile_ms(98)
    if lag_p98_ms is not None and lag_p98_ms > LAG_LIMIT_MS:
        reasons.append(
            f"the load generator was late: 2 % of its actions began over {lag_p98_ms:.0f} ms after their "
            f"time, the limit is {LAG_LIMIT_MS:.0f} ms"
        )
    reasons.extend(
        f"the machine's CPUs were {share:.0%} busy during the {phase}, the limit is {BUSY_LIMIT:.0%}"
        for phase, share in phases.items()
        if share is not None and share > BUSY_LIMIT
    )
    return Generator(
        lag_p98_ms=lag_p98_ms,
        saturated=bool(reasons),
        cpu_busy=None if whole is None else round(whole, 4),
        reasons=reasons,
    )
