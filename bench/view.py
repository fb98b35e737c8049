"""What the report shows, worked out of a result: rows, charts and polygons, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from markupsafe import Markup

from bench import charts, meter_file
from bench.answers import TITLES, home_of, typical_ms
from bench.floors import floor_ms
from bench.meters import MIB, polygon_area
from bench.places import PLACES, name_of
from bench.result import LATENCIES, ArchitectureResult, Result
from bench.wording import percent
from bench.worldmap import heat

Runs = Mapping[str, ArchitectureResult]

SERIES = 6
"""How many colours the page has; further architectures begin again with the first."""


def series(result: Result) -> dict[str, int]:
    """The number of each architecture's colour: the known three always have their own."""
    known = ["baseline", "geo-i", "geo-ii"]
    names = dict.fromkeys([*result.architectures, *result.blocking])
    others = [name for name in names if name not in known]
    return {
        name: known.index(name) if name in known else (len(known) + others.index(name)) % SERIES
        for name in names
    }


def overview(runs: Runs, colours: Mapping[str, int]) -> Markup:
    """The mean of the regions' medians and the 98th percentile of every quantity and architecture."""
    groups = []
    for quantity in LATENCIES:
        pairs = typical_pairs(quantity, runs)
        bars = [charts.Bar(name, colours[name], *pairs[name]) for name in runs]
        groups.append((TITLES[quantity], bars))
    return charts.ranges(groups, "Latency by quantity and architecture")


def typical_pairs(quantity: str, runs: Runs) -> dict[str, tuple[float | None, float | None]]:
    """By architecture the mean of the regions' medians and the 98th percentile over all users (ms)."""
    medians = typical_ms(quantity, runs)
    return {
        name: (medians[name], latency.all.p98 if (latency := run.latency_ms.get(quantity)) else None)
        for name, run in runs.items()
    }


def distributions(runs: Runs, colours: Mapping[str, int]) -> list[tuple[str, Markup]]:
    """Per quantity its title and the distributions of all architectures."""
    return [
        (
            TITLES[quantity],
            charts.distributions(
                {name: run.curves[quantity] for name, run in runs.items() if quantity in run.curves},
                colours,
                f"Distribution of the {quantity} latency",
            ),
        )
        for quantity in LATENCIES
    ]


@dataclass(frozen=True)
class Cell:
    """A region's median in one architecture, its colour, and what the WAN alone takes (ms)."""

    p50: float | None
    heat: int | None
    floor: float | None


@dataclass(frozen=True)
class RegionTable:
    """One quantity by region: a row of cells per region, in the order of the architectures."""

    title: str
    architectures: list[str]
    rows: list[tuple[str, list[Cell]]]


def regions_of(runs: Runs) -> list[str]:
    """The regions that a run measured, the eight known ones first in their order."""
    found = {
        region for run in runs.values() for latency in run.latency_ms.values() for region in latency.by_region
    }
    return [region for region in PLACES if region in found] + sorted(found - set(PLACES))


def by_region(result: Result) -> list[RegionTable]:
    """The medians of every quantity by region."""
    home = home_of(result)
    tables = []
    for quantity in LATENCIES:
        rows = []
        for region in regions_of(result.architectures):
            cells = []
            for run in result.architectures.values():
                p50 = median(run, quantity, region)
                cells.append(Cell(p50, heat(p50), floor_ms(quantity, region, run.regions, home)))
            rows.append((name_of(region), cells))
        tables.append(RegionTable(TITLES[quantity], list(result.architectures), rows))
    return tables


def median(run: ArchitectureResult, quantity: str, region: str) -> float | None:
    """A region's median of a quantity (ms)."""
    latency = run.latency_ms.get(quantity)
    summary = latency.by_region.get(region) if latency else None
    return summary.p50 if summary else None


@dataclass(frozen=True)
class Polygon:
    """A meter: its name, its polygons as a picture (None without inputs), and what its axes are."""

    key: str
    name: str
    meaning: str
    picture: Markup | None


_AXES = {
    "crum": ("CPU", "memory", "disk"),
    "spm": ("1/broadcast", "1/request", "1/handshake", "network in", "network out"),
    "slm": ("connections", "requests", "Redis hits", "Redis misses", "SQL queries"),
    "sec": ("load", "performance", "utilisation", "hours per $"),
}

_MEANINGS = {
    "crum": ("CRUM", "Utilisation of CPU, memory and disk, in percent of all machines."),
    "spm": ("SPM", "Performance: inverse latencies (1/ms) and network (MiB a minute)."),
    "slm": ("SLM", "Load of the whole run, in units of 10¹²."),
    "sec": ("SEC", "Effective capacity: the other three, and hours per dollar."),
}


def meters(runs: Runs, colours: Mapping[str, int]) -> list[Polygon]:
    """The four polygons of all architectures, from the averages of their inputs."""
    found = []
    for key, axes in _AXES.items():
        polygons = {name: radii for name, run in runs.items() if (radii := _radii(run, key))}
        name, meaning = _MEANINGS[key]
        drawn = charts.radar(axes, polygons, colours, f"{name} as polygons") if polygons else None
        found.append(Polygon(key, name, meaning, drawn))
    return found


def _radii(run: ArchitectureResult, key: str) -> Sequence[float] | None:
    """The average inputs of a meter as the radii of its polygon; None when they are not known."""
    if key == "sec":
        averages = (run.meters.slm.avg, run.meters.spm.avg, run.meters.crum.avg)
        known = [value for value in averages if value is not None]
        return [*known, 1 / run.cost_per_hour] if len(known) == 3 and run.cost_per_hour > 0 else None
    try:
        part = meter_file.parse(msgspec.json.encode(run.meter_inputs).decode()).parts.get(key)
    except meter_file.InputError:
        return None
    if not isinstance(part, Mapping):
        return None
    values = {name: meter_file.at(name, value, "avg") for name, value in part.items()}
    if key == "spm":
        values |= {name: values[name] / MIB for name in ("network_in_bytes", "network_out_bytes")}
    return [1 / value if name in meter_file.DIVISORS else value for name, value in values.items()]


def traffic_shares(runs: Runs) -> dict[str, str]:
    """How much of each architecture's average SPM is network in times network out, in percent."""
    found = {}
    for name, run in runs.items():
        radii = _radii(run, "spm")
        if radii and (area := polygon_area(radii)) > 0:
            found[name] = percent(polygon_area([0, 0, 0, *radii[3:]]), area)
    return found


@dataclass(frozen=True)
class Share:
    """A use against a capacity: both with their unit, the share in percent, and a bar."""

    text: str
    percent: str
    bar: Markup


@dataclass(frozen=True)
class RoleRow:
    """What the machines of one role used."""

    role: str
    machines: int
    cpu: Share
    memory: Share
    disk: Share
    network: str


def roles(runs: Runs) -> dict[str, list[RoleRow]]:
    """The use by role of every architecture that has it."""
    return {
        name: [
            RoleRow(
                role=role,
                machines=use.machines,
                cpu=_share(use.cpu_cores, use.cpu_capacity_cores, "cores"),
                memory=_share(use.memory_mib / 1024, use.memory_capacity_mib / 1024, "GiB"),
                disk=_share(use.disk_mib / 1024, use.disk_capacity_mib / 1024, "GiB"),
                network=f"{_figure(use.network_in_mib_min)} in, {_figure(use.network_out_mib_min)} out",
            )
            for role, use in run.roles.items()
        ]
        for name, run in runs.items()
        if run.roles
    }


def _share(used: float, capacity: float, unit: str) -> Share:
    share = used / capacity if capacity > 0 else 0.0
    return Share(f"{_figure(used)} of {capacity:,.0f} {unit}", percent(used, capacity), charts.bar(share))


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def control_overview(result: Result, colours: Mapping[str, int]) -> Markup | None:
    """Predictions and reads of the architectures and of their blocking controls; None without control."""
    if not result.blocking:
        return None
    groups = []
    shown = {
        f"{name}, {kind}": (name, run)
        for name, blocked in result.blocking.items()
        for kind, run in (("async", result.architectures.get(name)), ("blocking", blocked))
        if run is not None
    }
    for quantity in ("prediction", "read"):
        pairs = typical_pairs(quantity, {label: run for label, (_, run) in shown.items()})
        bars = [charts.Bar(label, colours[name], *pairs[label]) for label, (name, _) in shown.items()]
        groups.append((TITLES[quantity], bars))
    return charts.ranges(groups, "Asynchronous and blocking database calls")


def control_regions(result: Result, colours: Mapping[str, int]) -> list[tuple[str, Markup]]:
    """Per architecture the medians of a prediction by region, asynchronous and blocking."""
    pairs = [
        (name, result.architectures[name], blocked)
        for name, blocked in result.blocking.items()
        if name in result.architectures
    ]
    regions = regions_of({**result.architectures, **result.blocking})
    rows = {
        name: [
            (name_of(region), median(free, "prediction", region), median(blocked, "prediction", region))
            for region in regions
        ]
        for name, free, blocked in pairs
    }
    most = max(
        (v for found in rows.values() for _, a, b in found for v in (a, b) if v is not None), default=1.0
    )
    return [
        (
            name,
            charts.pairs(
                found, ("async", "blocking"), colours[name], f"Predictions of {name} by region", most
            ),
        )
        for name, found in rows.items()
    ]
