"""What a stack's configuration contradicts itself in, though each value by itself is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.architecture import Architecture
from infra.hardware import INSTANCE_TYPES, SQL_CLASSES
from infra.reading import Reading
from infra.replicas import Limits, NoPlacementError, place
from infra.volumes import IMAGE_GIB, instance_volume_mistakes, sql_volume_mistakes

Mistake = tuple[str, str]
"""A key, and what is wrong with its value and what to do about it."""

_ENGINE_OF_MAJOR: Final = {"5": "mysql", "8": "mysql", "9": "mysql", "10": "mariadb", "11": "mariadb"}
"""Major versions that RDS offers or offered, by engine."""


def contradictions(values: Mapping[str, Any]) -> Iterator[Mistake]:
    """Every contradiction in a configuration, so far as the values that it is between are right.

    Args:
        values: the configuration, by the keys of an architecture.
    """
    reading = Reading(Architecture, values)
    for rules in _RULES:
        yield from rules(reading)


def _machines(r: Reading) -> Iterator[Mistake]:
    for key, table in (
        ("nodes.instance-type", INSTANCE_TYPES),
        ("core.instance-type", INSTANCE_TYPES),
        ("redis.instance-type", INSTANCE_TYPES),
        ("monitoring.instance-type", INSTANCE_TYPES),
        ("load.instance-type", INSTANCE_TYPES),
        ("sql.instance-class", SQL_CLASSES),
        ("sql.replica-class", SQL_CLASSES),
    ):
        match r.read(key):
            case (str(value),) if value not in table:
                yield key, f"{value!r} is not known; choose one of {', '.join(table)}"


def _nodes(r: Reading) -> Iterator[Mistake]:
    match r.read("nodes.regions"):
        case (regions,) if len(set(regions)) < len(regions):
            yield "nodes.regions", "names a region twice"
    match r.read("nodes.scaling.minimum", "nodes.per-region"):
        case (minimum, count) if minimum > count:
            yield "nodes.scaling.minimum", f"is {minimum}, more than per-region ({count}); lower it"
    match r.read("nodes.scaling.maximum", "nodes.per-region"):
        case (maximum, count) if maximum < count:
            yield "nodes.scaling.maximum", f"is {maximum}, less than per-region ({count}); raise it"
    match r.read("nodes.scaling.in-cpu-percent", "nodes.scaling.out-cpu-percent"):
        case (low, high) if low >= high:
            yield (
                "nodes.scaling.in-cpu-percent",
                f"is {low:g}, not below out-cpu-percent ({high:g}); lower it",
            )


def _load(r: Reading) -> Iterator[Mistake]:
    match r.read("load.regions"):
        case (tuple(regions),) if len(set(regions)) < len(regions):
            yield "load.regions", "names a region twice"


def _schedules(r: Reading) -> Iterator[Mistake]:
    named: dict[str, str] = {}
    for item in r.items("nodes.schedules"):
        match r.read(f"{item}.start", f"{item}.end"):
            case (start, end) if end <= start:
                yield f"{item}.end", "is not after start; correct one of them"
        match r.read(f"{item}.per-region", "nodes.scaling.maximum"):
            case (count, maximum) if count > maximum:
                yield f"{item}.per-region", f"is {count}, more than scaling.maximum ({maximum}); raise that"
        match r.read(f"{item}.name"):
            case (name,) if name in named:
                yield f"{item}.name", f"{name!r} is also the name of {named[name]}; choose another"
            case (name,):
                named[name] = item


def _routing(r: Reading) -> Iterator[Mistake]:
    match r.read("routing.policy", "nodes.regions"):
        case ("simple", regions) if len(set(regions)) > 1:
            yield "routing.policy", "simple leads to one region only; with several use latency or geolocation"


def _core(r: Reading) -> Iterator[Mistake]:
    match r.read("redis.placement", "sql.placement"):
        case placements if placements and "node" in placements:
            if r.given("core"):
                yield "core", "has nothing to do where data is on the node; remove it"
            for key in ("nodes.scaling", "nodes.schedules"):
                if r.given(key):
                    yield key, "has no meaning where data is on the node, which stays one; remove it"
        case placements if placements and "node" not in placements and not r.given("core"):
            yield "core", "is missing; data off the node needs a machine that drains the journal"


def _tiers(r: Reading) -> Iterator[Mistake]:
    for tier, machine in (("redis", "instance-type"), ("sql", "instance-class")):
        match r.read(f"{tier}.placement"):
            case ("node",):
                yield from _on_the_node(r, tier, machine)
            case (placement,):
                for key in (f"{tier}.{machine}", f"{tier}.volume"):
                    if not r.given(key):
                        yield key, f"is missing; placement {placement} needs a machine"


def _on_the_node(r: Reading, tier: str, machine: str) -> Iterator[Mistake]:
    for key in (f"{tier}.{machine}", f"{tier}.volume"):
        if r.given(key):
            yield key, "has no meaning with placement node; remove it"
    match r.read("nodes.regions", "home"):
        case (regions, home) if set(regions) != {home}:
            yield f"{tier}.placement", f"node needs exactly one node region, home ({home})"
    match r.read("nodes.per-region"):
        case (count,) if count > 1:
            yield f"{tier}.placement", f"node needs exactly one node, where per-region is {count}"


def _redis(r: Reading) -> Iterator[Mistake]:
    match r.read("redis.placement", "redis.standbys"):
        case ("node", standbys) if standbys:
            yield "redis.standbys", "has no meaning with placement node; remove it"
    match r.read("redis.standbys", "zones"):
        case (standbys, zones) if standbys + 1 > zones:
            yield (
                "redis.standbys",
                f"is {standbys}; with the master, each in a zone of its own, that needs {standbys + 1} zones:"
                f" raise zones ({zones}) or lower it",
            )


def _sql(r: Reading) -> Iterator[Mistake]:
    match r.read("sql.engine", "sql.engine-version"):
        case (engine, version) if _ENGINE_OF_MAJOR.get(version.split(".")[0], engine) != engine:
            yield "sql.engine-version", f"{version} is no version of {engine}; name one of its own"
    match r.read("sql.placement"):
        case ("replicated",):
            for key, needed in (("replica-regions", "at least one region"), ("replica-class", "a class")):
                if not r.given(f"sql.{key}") or r.read(f"sql.{key}") == ((),):
                    yield f"sql.{key}", f"is missing; placement replicated needs {needed}"
        case (placement,):
            for key in ("replica-class", "replica-regions", "read-fallback", "limits"):
                if r.given(f"sql.{key}"):
                    yield f"sql.{key}", f"has no meaning with placement {placement}; remove it"


def _replicas(r: Reading) -> Iterator[Mistake]:
    if r.read("sql.placement") != ("replicated",):
        return
    match r.read("sql.replica-regions", "home"):
        case (wanted, home) if home in wanted:
            yield "sql.replica-regions", f"{home} is home and has the master; remove it"
    match r.read("sql.replica-regions"):
        case (wanted,) if len(set(wanted)) < len(wanted):
            yield "sql.replica-regions", "names a region twice"
    match r.read("sql.read-fallback", "nodes.regions"):
        case (fallback, regions):
            for region in fallback:
                if region not in regions:
                    yield "sql.read-fallback", f"{region} has no nodes that could read; remove it"
    match r.read("sql.read-fallback"):
        case (fallback,):
            for region, target in fallback.items():
                if region == target:
                    yield "sql.read-fallback", f"{region} names itself; name another region"
    known = r.read(
        "home",
        "sql.replica-regions",
        "nodes.regions",
        "sql.read-fallback",
        "sql.limits.replicas-per-source",
        "sql.limits.chain-length",
        "sql.limits.region-crossings",
    )
    if known:
        home, wanted, readers, fallback, *limits = known
        try:
            place(home, wanted, readers, fallback, Limits(*limits))
        except NoPlacementError as error:
            yield from ((f"sql.{key}", text) for key, text in error.mistakes.items())


def _volumes(r: Reading) -> Iterator[Mistake]:
    for machine in ("nodes", "core", "redis", "monitoring", "load"):
        match r.read(f"{machine}.volume.size-gib"):
            case (int(size_gib),) if machine != "redis" and size_gib < IMAGE_GIB:
                yield (
                    f"{machine}.volume.size-gib",
                    f"is {size_gib}; the machine image alone takes {IMAGE_GIB}: raise it",
                )
        match r.read(f"{machine}.volume.size-gib", f"{machine}.volume.iops"):
            case (int(size_gib), iops):
                yield from (
                    (f"{machine}.volume.{key}", text)
                    for key, text in instance_volume_mistakes(size_gib, iops)
                )
    match r.read("sql.volume.size-gib", "sql.volume.iops"):
        case (int(size_gib), iops):
            yield from ((f"sql.volume.{key}", text) for key, text in sql_volume_mistakes(size_gib, iops))


_RULES: Final = (
    _machines,
    _nodes,
    _load,
    _schedules,
    _routing,
    _core,
    _redis,
    _tiers,
    _sql,
    _replicas,
    _volumes,
)
