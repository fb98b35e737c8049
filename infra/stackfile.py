"""Reads an architecture from a stack's `Pulumi.<stack>.yaml`; reports every mistake at once, with its key."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from infra.architecture import Architecture, Core, NodeGroup, RedisTier, Region, Routing, SqlTier
from infra.errors import StackFileError
from infra.hardware import INSTANCE_TYPES, SQL_CLASSES
from infra.replicas import NoPlacementError, place

NAMESPACE: Final = "isochrone:"


def stack_path(stack: str, root: Path) -> Path:
    """The file that configures a stack."""
    return root / f"Pulumi.{stack}.yaml"


def load(stack: str, root: Path) -> Architecture:
    """The architecture that `Pulumi.<stack>.yaml` in `root` describes.

    Raises:
        StackFileError: with every mistake in the file, or when there is none such.
    """
    path = stack_path(stack, root)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        known = sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml"))
        raise StackFileError(
            path.name, [f"cannot be read ({reason}); there are stacks {', '.join(known) or 'none'}"]
        ) from error
    return parse(stack, text)


def parse(stack: str, text: str) -> Architecture:
    """The architecture that the text of a stack file describes.

    Raises:
        StackFileError: with every mistake in the text, each with its key.
    """
    name = f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StackFileError(name, [f"is not YAML: {error}"]) from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(name, ["needs a mapping `config:`"])
    values: dict[str, Any] = {"name": stack}
    for key, value in config.items():
        if isinstance(key, str) and key.startswith(NAMESPACE):
            values[key.removeprefix(NAMESPACE)] = value
    mistakes: list[str] = []
    architecture: Architecture | None = None
    try:
        architecture = TypeAdapter(Architecture).validate_python(values, by_name=False)
    except ValidationError as error:
        mistakes += [f"{_key(e['loc'])}: {_advice(dict(e))}" for e in error.errors(include_url=False)]
    mistakes += _contradictions(values)
    if mistakes or architecture is None:
        raise StackFileError(name, mistakes)
    return architecture


def _key(loc: tuple[int | str, ...]) -> str:
    return NAMESPACE + ".".join(str(part) for part in loc)


def _advice(error: Mapping[str, Any]) -> str:
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return "is not a key that this file may have; remove or correct it"
    if error["type"] in ("missing", "missing_argument"):
        return "is missing"
    return f"{error['msg'].removeprefix('Value error, ')} (it is {reprlib.repr(error['input'])})"


_PARTS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "home": TypeAdapter(Region),
    "nodes": TypeAdapter(NodeGroup),
    "redis": TypeAdapter(RedisTier),
    "sql": TypeAdapter(SqlTier),
    "core": TypeAdapter(Core),
    "routing": TypeAdapter(Routing),
}


def _contradictions(values: Mapping[str, Any]) -> Iterator[str]:
    """The contradictions between those parts of a file that are right by themselves."""
    parts: dict[str, Any] = {}
    for name, adapter in _PARTS.items():
        try:
            parts[name] = adapter.validate_python(values[name], by_name=False)
        except (KeyError, ValidationError):
            parts[name] = None
    yield from _check(**parts, core_given="core" in values)


def _check(
    *,
    home: str | None,
    nodes: NodeGroup | None,
    redis: RedisTier | None,
    sql: SqlTier | None,
    core: Core | None,
    routing: Routing | None,
    core_given: bool,
) -> Iterator[str]:
    if nodes:
        yield from _known("nodes.instance-type", nodes.instance_type, INSTANCE_TYPES)
        if len(set(nodes.regions)) < len(nodes.regions):
            yield f"{NAMESPACE}nodes.regions: names a region twice"
        if routing and routing.policy == "simple" and len(nodes.regions) > 1:
            yield f"{NAMESPACE}routing.policy: simple leads to one region only; with several use latency"
    if core:
        yield from _known("core.instance-type", core.instance_type, INSTANCE_TYPES)
    yield from _check_tier("redis", "instance-type", redis, home, nodes)
    yield from _check_tier("sql", "instance-class", sql, home, nodes)
    if redis and redis.instance_type:
        yield from _known("redis.instance-type", redis.instance_type, INSTANCE_TYPES)
    if redis and sql and not core_given and "node" not in (redis.placement, sql.placement):
        yield f"{NAMESPACE}core: is missing; data off the node needs a machine that drains the journal"
    if redis and sql and core and "node" in (redis.placement, sql.placement):
        yield f"{NAMESPACE}core: has nothing to do where data is on the node; remove it"
    if sql:
        yield from _check_sql(sql, home, nodes)


def _known(key: str, value: str, table: Mapping[str, object]) -> Iterator[str]:
    if value not in table:
        yield f"{NAMESPACE}{key}: {value!r} is not known; choose one of {', '.join(table)}"


def _check_tier(
    name: str, machine: str, tier: RedisTier | SqlTier | None, home: str | None, nodes: NodeGroup | None
) -> Iterator[str]:
    if tier is None:
        return
    kind = tier.instance_type if isinstance(tier, RedisTier) else tier.instance_class
    for key, value in ((machine, kind), ("volume", tier.volume)):
        if tier.placement == "node" and value is not None:
            yield f"{NAMESPACE}{name}.{key}: has no meaning with placement node; remove it"
        if tier.placement != "node" and value is None:
            yield f"{NAMESPACE}{name}.{key}: is missing; placement {tier.placement} needs a machine"
    if tier.placement == "node" and nodes and home and nodes.regions != (home,):
        yield f"{NAMESPACE}{name}.placement: node needs exactly one node region, home ({home})"


def _check_sql(sql: SqlTier, home: str | None, nodes: NodeGroup | None) -> Iterator[str]:
    if sql.instance_class:
        yield from _known("sql.instance-class", sql.instance_class, SQL_CLASSES)
    if sql.replica_class:
        yield from _known("sql.replica-class", sql.replica_class, SQL_CLASSES)
    if sql.placement != "replicated":
        for key, value in (("replica-class", sql.replica_class), ("replica-regions", sql.replica_regions)):
            if value:
                yield f"{NAMESPACE}sql.{key}: has no meaning with placement {sql.placement}; remove it"
        return
    if not sql.replica_regions:
        yield f"{NAMESPACE}sql.replica-regions: is missing; placement replicated needs at least one region"
    if sql.replica_class is None:
        yield f"{NAMESPACE}sql.replica-class: is missing; placement replicated needs it"
    if home in sql.replica_regions:
        yield f"{NAMESPACE}sql.replica-regions: {home} is home and has the master; remove it"
    if nodes and home:
        try:
            place(home, sql.replica_regions, nodes.regions, sql.read_fallback, sql.limits)
        except NoPlacementError as error:
            yield f"{NAMESPACE}sql.read-fallback: {error}"
