"""From per-second samples of machines to the scalability meters.

The thesis evaluates CloudWatch's minutes; a run in the lab is shorter, so it is cut into windows (10 s unless
told otherwise) whose network traffic is scaled to a minute. Where there is not one whole window in which
every machine was sampled, the meters that need one are null.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from statistics import fmean

from bench import meters
from bench.meter_file import defined
from bench.pooling import pooled
from bench.result import Elasticity, Meters, Range, RoleUsage, Summary

_WHOLE = 1e-6
_NONE = Range(None, None, None)


@dataclass(frozen=True)
class MachineSample:
    """What one machine had used at a moment (unix seconds).

    `cpu_s` and the network's bytes are cumulative; when a restart sets them back, counting goes on from
    there. `memory_mib` and `disk_mib` are what is in use at that moment.
    """

    at_s: float
    machine: str
    role: str
    cpu_s: float
    memory_mib: float
    disk_mib: float
    network_in_bytes: float
    network_out_bytes: float


@dataclass(frozen=True)
class MachineCapacity:
    """The size of the machine that a sampled one stands for."""

    machine: str
    role: str
    cores: float
    memory_mib: float
    disk_mib: float


@dataclass(frozen=True)
class CounterSample:
    """What the service as a whole had done at a moment; all but `connections` is cumulative."""

    at_s: float
    connections: float
    requests: float
    redis_hits: float
    redis_misses: float
    sql_queries: float


@dataclass(frozen=True)
class Window:
    """What a machine used in a window: means, and network bytes per minute."""

    cpu_cores: float
    memory_mib: float
    disk_mib: float
    network_in_bytes: float
    network_out_bytes: float


def evaluate(
    samples: Sequence[MachineSample],
    capacities: Sequence[MachineCapacity],
    latency: Mapping[str, Summary],
    counters: Sequence[CounterSample],
    cost_per_hour: float,
    *,
    window_s: float = 10,
) -> tuple[Meters, dict[str, RoleUsage], dict[str, object]]:
    """The meters of a run, what each role used, and the meters' inputs.

    Utilisation is Σ used / Σ capacity over all machines, CPU weighted by cores. The range of CRUM is that of
    the windows' own polygons; the minimum of SPM takes the 98th-percentile latencies and the least network,
    its maximum the minimum latencies and the most network.

    Args:
        samples: Of all machines, in any order, those of the time that the run counts.
        capacities: One per machine; a machine without samples leaves CRUM and SPM undefined.
        latency: Over all users, by quantity. `request` is taken when it is there, otherwise reads and
            predictions are pooled.
        counters: In any order; the load is what came between the first and the last, with the most
            connections that were open at once.
        cost_per_hour: In dollars.
        window_s: The length of a window in seconds.

    Returns:
        The meters, the usage by role (empty without a whole window), and the inputs in the form that
        `isochrone meters` reads.
    """
    sizes = {capacity.machine: capacity for capacity in capacities}
    return evaluate_windows(_windows(samples, sizes, window_s), capacities, latency, counters, cost_per_hour)


def evaluate_windows(
    windows: Sequence[Mapping[str, Window]],
    capacities: Sequence[MachineCapacity],
    latency: Mapping[str, Summary],
    counters: Sequence[CounterSample],
    cost_per_hour: float,
) -> tuple[Meters, dict[str, RoleUsage], dict[str, object]]:
    """As `evaluate`, of windows that somebody else has measured; each has every machine."""
    sizes = {capacity.machine: capacity for capacity in capacities}
    requests = latency.get("request") or pooled(
        [latency[name] for name in ("read", "prediction") if name in latency]
    )
    inputs: dict[str, object] = {"cost_per_hour": cost_per_hour}
    crum, inputs_crum = _crum(windows, sizes)
    spm, inputs_spm = _spm(windows, requests, latency.get("broadcast"), latency.get("handshake"))
    slm, inputs_slm = _slm(counters)
    for name, found in (("crum", inputs_crum), ("spm", inputs_spm), ("slm", inputs_slm)):
        if found:
            inputs[name] = found
    found_meters = _meters(crum, spm, slm, cost_per_hour)
    return found_meters, _usage(windows, sizes), inputs


def _windows(
    samples: Iterable[MachineSample], sizes: Mapping[str, MachineCapacity], window_s: float
) -> list[dict[str, Window]]:
    """Per window, what each machine used; windows begin when the last machine's first sample is there."""
    by_machine: dict[str, list[MachineSample]] = {name: [] for name in sizes}
    for sample in samples:
        if sample.machine in by_machine:
            by_machine[sample.machine].append(sample)
    if not by_machine or not all(by_machine.values()):
        return []
    tracks = {
        name: _Track(sorted(found, key=lambda sample: sample.at_s)) for name, found in by_machine.items()
    }
    start = max(track.at_s[0] for track in tracks.values())
    end = min(track.at_s[-1] for track in tracks.values())
    count = max(0, floor((end - start) / window_s + _WHOLE))
    return [
        {name: track.window(start + i * window_s, window_s) for name, track in tracks.items()}
        for i in range(count)
    ]


class _Track:
    """One machine's samples in order of time, its counters made to rise only."""

    def __init__(self, samples: Sequence[MachineSample]) -> None:
        self.at_s = [sample.at_s for sample in samples]
        self._memory = [sample.memory_mib for sample in samples]
        self._disk = [sample.disk_mib for sample in samples]
        self._cpu = rising([sample.cpu_s for sample in samples])
        self._in = rising([sample.network_in_bytes for sample in samples])
        self._out = rising([sample.network_out_bytes for sample in samples])

    def window(self, start: float, length: float) -> Window:
        end = start + length

        def gained(values: Sequence[float]) -> float:
            return self._at(values, end) - self._at(values, start)

        return Window(
            cpu_cores=gained(self._cpu) / length,
            memory_mib=self._mean(self._memory, start, end),
            disk_mib=self._mean(self._disk, start, end),
            network_in_bytes=gained(self._in) * 60 / length,
            network_out_bytes=gained(self._out) * 60 / length,
        )

    def _at(self, values: Sequence[float], at_s: float) -> float:
        """The value at a moment, on the straight line between its neighbours."""
        i = bisect_left(self.at_s, at_s)
        if i == 0:
            return values[0]
        if i == len(values):
            return values[-1]
        before, after = self.at_s[i - 1], self.at_s[i]
        return values[i - 1] + (values[i] - values[i - 1]) * (at_s - before) / (after - before)

    def _mean(self, values: Sequence[float], start: float, end: float) -> float:
        inside = [value for at_s, value in zip(self.at_s, values, strict=True) if start <= at_s <= end]
        return fmean(inside) if inside else self._at(values, (start + end) / 2)


def rising(values: Sequence[float]) -> list[float]:
    """A cumulative counter without its restarts: one that falls has begun again from zero."""
    total = values[0] if values else 0.0
    found = list(values[:1])
    for before, value in pairwise(values):
        total += value - before if value >= before else value
        found.append(total)
    return found


def _crum(
    windows: Sequence[Mapping[str, Window]], sizes: Mapping[str, MachineCapacity]
) -> tuple[Range, dict[str, object]]:
    cores = sum(size.cores for size in sizes.values())
    memory = sum(size.memory_mib for size in sizes.values())
    disk = sum(size.disk_mib for size in sizes.values())
    if not windows or not (cores > 0 and memory > 0 and disk > 0):
        return _NONE, {}
    percent = [
        (
            100 * sum(machine.cpu_cores for machine in window.values()) / cores,
            100 * sum(machine.memory_mib for machine in window.values()) / memory,
            100 * sum(machine.disk_mib for machine in window.values()) / disk,
        )
        for window in windows
    ]
    names = ("cpu", "memory", "disk")
    inputs: dict[str, object] = {
        name: _extent([values[i] for values in percent]) for i, name in enumerate(names)
    }
    areas = _extent([meters.crum(*values) for values in percent])
    return Range(**areas), inputs


def _spm(
    windows: Sequence[Mapping[str, Window]],
    request: Summary | None,
    broadcast: Summary | None,
    handshake: Summary | None,
) -> tuple[Range, dict[str, object]]:
    if not windows or request is None or broadcast is None or handshake is None:
        return _NONE, {}
    network = {
        "network_in_bytes": _extent([sum(m.network_in_bytes for m in window.values()) for window in windows]),
        "network_out_bytes": _extent(
            [sum(m.network_out_bytes for m in window.values()) for window in windows]
        ),
    }
    latencies = {"broadcast_ms": broadcast, "request_ms": request, "handshake_ms": handshake}

    def area(point: str, pick: Callable[[Summary], float | None]) -> float | None:
        values = {name: pick(summary) for name, summary in latencies.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            return None
        traffic = [extent[point] for extent in network.values()]
        try:
            return meters.spm(*known.values(), *traffic)
        except meters.MeterError:
            return None

    found = Range(
        area("min", lambda summary: summary.p98),
        area("avg", lambda summary: summary.mean),
        area("max", lambda summary: summary.min),
    )
    if found.min is None or found.avg is None or found.max is None:
        return found, {}
    inputs: dict[str, object] = {
        name: {"min": summary.min, "avg": summary.mean, "max": summary.p98}
        for name, summary in latencies.items()
    }
    return found, inputs | network


def _slm(counters: Sequence[CounterSample]) -> tuple[Range, dict[str, object]]:
    if len(counters) < 2:
        return _NONE, {}
    ordered = sorted(counters, key=lambda sample: sample.at_s)

    def total(pick: Callable[[CounterSample], float]) -> float:
        values = rising([pick(sample) for sample in ordered])
        return values[-1] - values[0]

    inputs = {
        "connections": max(sample.connections for sample in ordered),
        "requests": total(lambda sample: sample.requests),
        "redis_hits": total(lambda sample: sample.redis_hits),
        "redis_misses": total(lambda sample: sample.redis_misses),
        "mysql_queries": total(lambda sample: sample.sql_queries),
    }
    value = meters.slm(*inputs.values())
    return Range(value, value, value), dict(inputs)


def _meters(crum: Range, spm: Range, slm: Range, cost_per_hour: float) -> Meters:
    def capacity(load: float | None, performance: float | None, use: float | None) -> float | None:
        if load is None or performance is None or use is None:
            return None
        return defined(meters.sec, load, performance, use, cost_per_hour)

    sec = Range(
        capacity(slm.min, spm.min, crum.min),
        capacity(slm.avg, spm.avg, crum.avg),
        capacity(slm.max, spm.max, crum.max),
    )
    if sec.min is None or sec.max is None or spm.min is None or spm.max is None:
        return Meters(crum, spm, slm, sec, None, Elasticity(None, None))
    return Meters(
        crum,
        spm,
        slm,
        sec,
        defined(meters.ess, spm.min, spm.max, sec.min, sec.max),
        Elasticity(meters.esr_difference(sec.min, sec.max), defined(meters.esr_ratio, sec.min, sec.max)),
    )


def _usage(
    windows: Sequence[Mapping[str, Window]], sizes: Mapping[str, MachineCapacity]
) -> dict[str, RoleUsage]:
    if not windows:
        return {}
    found: dict[str, RoleUsage] = {}
    for role in dict.fromkeys(size.role for size in sizes.values()):
        machines = [size for size in sizes.values() if size.role == role]
        names = [size.machine for size in machines]

        def mean(pick: Callable[[Window], float], names: Sequence[str] = names) -> float:
            return fmean(sum(pick(window[name]) for name in names) for window in windows)

        found[role] = RoleUsage(
            machines=len(machines),
            cpu_cores=mean(lambda window: window.cpu_cores),
            cpu_capacity_cores=sum(size.cores for size in machines),
            memory_mib=mean(lambda window: window.memory_mib),
            memory_capacity_mib=sum(size.memory_mib for size in machines),
            disk_mib=mean(lambda window: window.disk_mib),
            disk_capacity_mib=sum(size.disk_mib for size in machines),
            network_in_mib_min=mean(lambda window: window.network_in_bytes) / meters.MIB,
            network_out_mib_min=mean(lambda window: window.network_out_bytes) / meters.MIB,
        )
    return found


def _extent(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "avg": fmean(values), "max": max(values)}
