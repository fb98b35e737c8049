"""The scalability meters: the area of a regular polygon with a meter's inputs as radii.

Source: Gao, Pattabhiraman, Bai and Tsai, "SaaS performance and scalability evaluation in clouds" (2011), in
the form in which Harezlak's thesis (2015) computes them; the order of the inputs is the order round the
centre, and it matters: neighbours are multiplied. Every function is pure and takes one value per input; the
minimum, average and maximum of a meter are three calls, see `bench.meter_file` and `bench.windows`.

All raise `MeterError` for what has no meaning: a latency or a cost of zero or below, a negative radius, NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bench.errors import BenchError

MIB: Final = 2**20
"""Bytes in a MiB."""

TERA: Final = 10**12
"""The unit of the load meter."""


class MeterError(BenchError):
    """A meter has no value for these inputs."""


def polygon_area(radii: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The area of a polygon whose corners lie on `n` equally spaced rays: A = ½ sin(2π/n) Σ xᵢxᵢ₊₁.

    Args:
        radii: The distance of each corner from the centre, in order; the last one is next to the first.
        weights: What each radius is multiplied by before; all 1 when absent.

    Raises:
        MeterError: fewer than three radii, as many weights as radii, or one that is negative or not finite.
    """
    n = len(radii)
    if n < 3:
        raise MeterError(f"a polygon has three corners or more, not {n}")
    if weights is not None and len(weights) != n:
        raise MeterError(f"{n} radii need {n} weights, not {len(weights)}")
    x = list(radii) if weights is None else [r * w for r, w in zip(radii, weights, strict=True)]
    if not all(math.isfinite(value) and value >= 0 for value in x):
        raise MeterError(f"a radius is zero or more and finite; these are {x}")
    area = 0.5 * math.sin(2 * math.pi / n) * math.fsum(x[i] * x[(i + 1) % n] for i in range(n))
    if not math.isfinite(area):
        raise MeterError("the area is too large to be computed; check the units of the inputs")
    return area


def _inverse(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value) and math.isfinite(1 / value)):
        raise MeterError(f"{name} has to be above zero and finite, not {value}")
    return 1 / value


def crum(cpu: float, memory: float, disk: float, *, weights: Sequence[float] | None = None) -> float:
    """Computing resource utilisation: the percentages (15.41, not 0.1541) in use over all machines."""
    return polygon_area((cpu, memory, disk), weights)


def cram(cpu: float, memory: float, disk: float, *, weights: Sequence[float] | None = None) -> float:
    """Computing resource allocation: as `crum`, of the amounts that are allocated (cores, GiB, GiB)."""
    return polygon_area((cpu, memory, disk), weights)


def spm(
    broadcast_ms: float,
    request_ms: float,
    handshake_ms: float,
    network_in_bytes: float,
    network_out_bytes: float,
    *,
    weights: Sequence[float] | None = None,
) -> float:
    """System performance: the inverse latencies (1/ms) and the network in and out (MiB).

    Args:
        broadcast_ms: Broadcast latency. The average takes the mean, the minimum the 98th percentile, the
            maximum the shortest; so for the other two.
        request_ms: Request latency.
        handshake_ms: Handshake latency.
        network_in_bytes: Received by all machines in a minute.
        network_out_bytes: Sent by all machines in a minute.
        weights: Per input, in this order.
    """
    return polygon_area(
        (
            _inverse("broadcast latency", broadcast_ms),
            _inverse("request latency", request_ms),
            _inverse("handshake latency", handshake_ms),
            network_in_bytes / MIB,
            network_out_bytes / MIB,
        ),
        weights,
    )


def slm(
    connections: float,
    requests: float,
    redis_hits: float,
    redis_misses: float,
    mysql_queries: float,
    *,
    weights: Sequence[float] | None = None,
) -> float:
    """System load, in units of 10¹²: the totals of a run."""
    return polygon_area((connections, requests, redis_hits, redis_misses, mysql_queries), weights) / TERA


def sec(
    slm: float, spm: float, crum: float, cost_per_hour: float, *, weights: Sequence[float] | None = None
) -> float:
    """System effective capacity; hours per dollar as the fourth radius is the thesis's own addition."""
    return polygon_area((slm, spm, crum, _inverse("cost per hour", cost_per_hour)), weights)


def scm(
    load: float, performance: float, allocation: float, *, weights: Sequence[float] | None = None
) -> float:
    """System capacity: the triangle of SLM, SPM and CRAM."""
    return polygon_area((load, performance, allocation), weights)


def slm_triangle(
    traffic: float, access: float, data: float, *, weights: Sequence[float] | None = None
) -> float:
    """System load as the literature defines it: communication traffic, user access, system data load."""
    return polygon_area((traffic, access, data), weights)


def sec_triangle(
    load: float, performance: float, utilisation: float, *, weights: Sequence[float] | None = None
) -> float:
    """Effective capacity as the literature defines it: the triangle of SLM, SPM and CRUM, without cost."""
    return polygon_area((load, performance, utilisation), weights)


def ess(spm_min: float, spm_max: float, sec_min: float, sec_max: float) -> float:
    """Effective system scalability as the thesis computes it: ΔSPM / ΔSEC."""
    if sec_max == sec_min:
        raise MeterError("the effective capacity did not change, so there is no scalability to tell")
    return (spm_max - spm_min) / (sec_max - sec_min)


def ess_defined(load: float, load_min: float, capacity: float, capacity_min: float) -> float:
    """Effective system scalability as defined: (SL(t) / SLmin) / (SEC(t) / SECmin)."""
    if not (load_min > 0 and capacity > 0 and capacity_min > 0):
        raise MeterError("the least load and the capacities have to be above zero")
    return (load / load_min) / (capacity / capacity_min)


def esr_difference(sec_min: float, sec_max: float) -> float:
    """Effective scalability range: SECmax - SECmin."""
    return sec_max - sec_min


def esr_ratio(sec_min: float, sec_max: float) -> float:
    """Effective scalability range as a ratio: SECmax / SECmin."""
    if not sec_min > 0:
        raise MeterError("a ratio needs a least effective capacity above zero")
    return sec_max / sec_min
