"""Whether the machine that carries the load was itself the bottleneck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, starmap
from typing import Final, NamedTuple

import psutil

from bench.histogram import Histogram
from bench.result import Generator

LAG_LIMIT_MS: Final = 50.0
"""A generator whose lag has a 98th percentile above this did not put the load that it was asked for."""

BUSY_LIMIT: Final = 0.95
"""Above this share of the CPU time in use, what is measured is the machine's queueing."""


SLICE_S: Final = 0.1
"""The time over which a burst is looked for: ten ticks of the kernel's accounting on each CPU (s)."""

FULL: Final = 0.9
"""A slice in which more than this share was in use had no room for more."""

FULL_LIMIT: Final = 0.05
"""When more than this share of the slices was full, bursts queued for the machine and not for the service."""


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


def full_share(times: Sequence[CpuTimes]) -> float | None:
    """The share of the slices between these moments in which the CPUs were full (0 to 1), if there is one."""
    slices = [share for share in starmap(busy, pairwise(times)) if share is not None]
    return sum(share > FULL for share in slices) / len(slices) if slices else None


def judge(
    lag: Histogram, whole: float | None, phases: Mapping[str, float | None], full: float | None = None
) -> Generator:
    """How well the load was generated.

    Args:
        lag: how late each action was begun.
        whole: the share of the machine's CPU time in use over the run.
        phases: the same for its phases, by their names; each is judged, since a ramp may saturate the
            machine in a run that does not on average.
        full: the share of the run's slices in which the CPUs were full.
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
    if full is not None and full > FULL_LIMIT:
        reasons.append(
            f"the machine's CPUs were full in {full:.0%} of the tenths of a second, the limit is "
            f"{FULL_LIMIT:.0%}: bursts queued for this machine"
        )
    return Generator(
        lag_p98_ms=lag_p98_ms,
        saturated=bool(reasons),
        cpu_busy=None if whole is None else round(whole, 4),
        reasons=reasons,
    )
