"""Results as physics would have them: the WAN's delays of `infra/data/rtt.json` plus a service's own time."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from statistics import fmean, pstdev

import msgspec

from bench.result import (
    ArchitectureResult,
    Broadcasts,
    Curve,
    Generator,
    Latency,
    Ledger,
    RegionFacts,
    Result,
    Run,
    Spread,
    Summary,
    Users,
)
from bench.windows import CounterSample, MachineCapacity, MachineSample, evaluate

HOME = "eu-west-1"
_RTT = json.loads((Path(__file__).parents[2] / "infra/data/rtt.json").read_text(encoding="utf-8"))
REGIONS: list[str] = _RTT["regions"]
_PERCENTILES = {
    "p50": 0.5,
    "p66": 0.66,
    "p75": 0.75,
    "p80": 0.8,
    "p90": 0.9,
    "p95": 0.95,
    "p98": 0.98,
    "p99": 0.99,
    "p999": 0.999,
}
NODES = {
    "baseline": ("One machine in Ireland", 2.49, 32, 61440),
    "geo-i": ("Eight nodes, data in Ireland", 6.93, 4, 15360),
    "geo-ii": ("Eight nodes, replicas in the regions", 6.72, 8, 30720),
}


def rtt_ms(a: str, b: str) -> float:
    return float(_RTT["matrices"]["2017"]["rtt"][REGIONS.index(a)][REGIONS.index(b)])


def summary(values: list[float]) -> Summary:
    ordered = sorted(values)
    if not ordered:
        return Summary(count=0)
    picked = {name: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for name, q in _PERCENTILES.items()}
    return Summary(
        count=len(ordered),
        min=ordered[0],
        mean=fmean(ordered),
        stddev=pstdev(ordered),
        max=ordered[-1],
        **picked,
    )


def curve(values: list[float], points: int = 160) -> Curve:
    ordered = sorted(values)
    picks = [i * (len(ordered) - 1) // (points - 1) for i in range(points)]
    return Curve([ordered[i] for i in picks], [(i + 1) / len(ordered) for i in picks])


def facts(architecture: str) -> dict[str, RegionFacts]:
    found = {}
    for region in REGIONS:
        node = HOME if architecture == "baseline" else region
        read = node if architecture == "geo-ii" else HOME
        found[region] = RegionFacts(node, read, rtt_ms(region, node), rtt_ms(region, HOME))
    return found


def _physics(architecture: str, quantity: str, region: str) -> float:
    place = facts(architecture)[region]
    onward = 0.0 if place.resolves_to == HOME else place.rtt_to_home_ms
    return {
        "handshake": 3 * place.rtt_to_node_ms,
        "read": place.rtt_to_node_ms + (0 if place.reads_from == place.resolves_to else onward),
        "prediction": place.rtt_to_node_ms + onward,
        "broadcast": (place.rtt_to_node_ms + onward) / 2,
    }[quantity]


def architecture_result(architecture: str, *, slow: float = 1.0, seed: int = 7) -> ArchitectureResult:
    """One run; `slow` multiplies what the service adds to predictions and reads of the distributed ones."""
    rng = random.Random(f"{architecture}{seed}")
    latency, curves = {}, {}
    for quantity in ("handshake", "read", "prediction", "broadcast"):
        factor = slow if quantity in ("prediction", "read") and architecture != "baseline" else 1.0
        by_region = {
            region: [
                _physics(architecture, quantity, region) + factor * rng.lognormvariate(0.9, 0.8)
                for _ in range(300)
            ]
            for region in REGIONS
        }
        every = [value for values in by_region.values() for value in values]
        latency[quantity] = Latency(summary(every), {name: summary(v) for name, v in by_region.items()})
        curves[quantity] = curve(every)
    title, cost, cores, memory = NODES[architecture]
    regions = [HOME] if architecture == "baseline" else REGIONS
    machines = [
        (f"node-{region}", "node", cores, memory, 143360, 0.02 * cores, 900.0, 2400.0) for region in regions
    ]
    if architecture != "baseline":
        machines += [("redis", "redis", 2, 17510, 143360, 0.05, 60.0, 1500.0)]
        machines += [
            ("sql", "sql", 8 if architecture == "geo-ii" else 16, 62464, 102400, 0.04, 410.0, 1900.0)
        ]
        machines += [("core", "core", 1, 3840, 20480, 0.03, 70.0, 1200.0)]
    samples = [
        MachineSample(
            float(s),
            name,
            role,
            cpu * (s + 0.3 * rng.random()),
            memory_mib,
            disk_mib,
            2.2e5 * s,
            3.1e5 * (s + 0.2 * rng.random()),
        )
        for s in range(121)
        for name, role, _, _, _, cpu, memory_mib, disk_mib in machines
    ]
    capacities = [
        MachineCapacity(name, role, cores, memory, disk) for name, role, cores, memory, disk, *_ in machines
    ]
    counters = [CounterSample(float(s), 2400, 420 * s, 380 * s, 9 * s, 190 * s) for s in range(121)]
    meters, roles, inputs = evaluate(
        samples, capacities, {name: x.all for name, x in latency.items()}, counters, cost
    )
    return ArchitectureResult(
        users=Users(2400, 2400, 0, 0),
        latency_ms=latency,
        broadcasts=Broadcasts(96_000, 0, 0),
        broadcast_spread_ms=Spread(158.2, 171.9, 190.4),
        errors={},
        ledger=Ledger(18_410, 18_410, 0, 0, True, 0, 0, 0, 9_205_000, 9_205_000),
        meters=meters,
        cost_per_hour=cost,
        generator=Generator(3.1, False, 0.61),
        title=title,
        curves=curves,
        roles=roles,
        regions=facts(architecture),
        meter_inputs=inputs,
    )


RUN = Run(
    2400,
    30,
    120,
    "2017",
    "async",
    HOME,
    "2025-05-04T10:20:30+00:00",
    "2 cores, 8 GiB",
    "0.1.0",
    "isochrone compare --users 2400 --ramp 30 --duration 120 --data-path both",
)


@cache
def comparison(*, control: bool = False) -> Result:
    """The three architectures; with `control`, the blocking ones in which the distributed two collapse."""
    names = ("baseline", "geo-i", "geo-ii")
    blocking = {}
    for name in names if control else ():
        run = architecture_result(name, slow=2500.0, seed=11)
        users = Users(2400, 2400, 0, 0) if name == "baseline" else Users(2400, 1744, 650, 6)
        blocking[name] = msgspec.structs.replace(run, data_path="blocking", users=users)
    return Result(1, {name: architecture_result(name) for name in names}, RUN, blocking)
