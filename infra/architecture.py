"""An architecture: the one description from which the cloud, the lab, the cost and the report are made.

It is read from a stack's `Pulumi.<stack>.yaml` and holds data only. `parse` reports every mistake in a file
at once, each with its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.alias_generators import to_snake
from pydantic.dataclasses import dataclass

from infra.errors import StackFileError
from infra.hardware import INSTANCE_TYPES, SQL_CLASSES
from infra.regions import REGIONS
from infra.replicas import Limits, NoPlacementError, Placement, place

NAMESPACE: Final = "isochrone:"

_CONFIG: Final = ConfigDict(
    extra="forbid", alias_generator=lambda name: to_snake(name).replace("_", "-"), validate_by_alias=True
)

Region = Literal[
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
]
Domain = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
]


@dataclass(frozen=True, config=_CONFIG)
class Volume:
    """A machine's disk: its size and, where they are provisioned, its operations per second."""

    size_gib: Annotated[int, Field(gt=0, le=16384)]
    iops: Annotated[int, Field(gt=0, le=64000)] | None = None


@dataclass(frozen=True, config=_CONFIG)
class NodeGroup:
    """The WebSocket nodes: `per_region` machines in each region, `api_processes` on each machine."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    instance_type: str
    api_processes: Annotated[int, Field(ge=1, le=128)]
    volume: Volume
    per_region: Annotated[int, Field(ge=1, le=1)] = 1


@dataclass(frozen=True, config=_CONFIG)
class Core:
    """The small machine at home that drains the journal, where data is not on the node itself."""

    instance_type: str
    volume: Volume


@dataclass(frozen=True, config=_CONFIG)
class RedisTier:
    """Where live state is: on the node, on a machine at home, or there with a replica on every node."""

    placement: Literal["node", "home", "replicated"]
    instance_type: str | None = None
    volume: Volume | None = None


@dataclass(frozen=True, config=_CONFIG)
class ReplicaLimits:
    """What the provider allows: cross-region replicas of one source, and links in a chain of replicas."""

    replicas_per_source: Annotated[int, Field(ge=0, le=15)] = 5
    chain_length: Annotated[int, Field(ge=1, le=4)] = 1


@dataclass(frozen=True, config=_CONFIG)
class SqlTier:
    """Where history is: on the node, on a server at home, or there with replicas in other regions.

    `replica_regions` are in the order of preference; a region without a replica reads from the one that
    `read_fallback` names for it, or from home.
    """

    placement: Literal["node", "home", "replicated"]
    instance_class: str | None = None
    volume: Volume | None = None
    replica_class: str | None = None
    replica_regions: tuple[Region, ...] = ()
    read_fallback: Mapping[Region, Region] = Field(default_factory=dict)
    limits: ReplicaLimits = ReplicaLimits()


@dataclass(frozen=True, config=_CONFIG)
class Routing:
    """How users reach a node: the record's policy and time to live."""

    policy: Literal["simple", "latency"]
    ttl_s: Annotated[int, Field(ge=1, le=86400)] = 60


@dataclass(frozen=True, config=_CONFIG)
class Architecture:
    """One candidate answer to where the servers and the data go."""

    title: Annotated[str, Field(min_length=1, max_length=80)]
    home: Region
    domain: Domain
    hardware: Literal["thesis"]
    nodes: NodeGroup
    redis: RedisTier
    sql: SqlTier
    routing: Routing
    core: Core | None = None
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "architecture"

    @property
    def sql_placement(self) -> Placement:
        """Which SQL server each region's reads go to, and what every replica replicates from."""
        wanted = self.sql.replica_regions if self.sql.placement == "replicated" else ()
        limits = Limits(self.sql.limits.replicas_per_source, self.sql.limits.chain_length)
        return place(self.home, wanted, self.nodes.regions, self.sql.read_fallback, limits)

    def redis_region(self, node_region: str) -> str:
        """The region whose Redis serves the live reads of the nodes in `node_region`."""
        return self.home if self.redis.placement == "home" else node_region


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
        known = sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml"))
        raise StackFileError(
            path.name, [f"cannot be read ({error}); there are stacks {', '.join(known) or 'none'}"]
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
        architecture = TypeAdapter(Architecture).validate_python(values)
    except ValidationError as error:
        mistakes += [f"{_key(e['loc'])}: {_advice(dict(e))}" for e in error.errors(include_url=False)]
    mistakes += _contradictions(values) if architecture is None else _contradictions_of(architecture)
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
    return f"{error['msg']} (it is {error['input']!r})"


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """The contradictions between those parts of a file that are right by themselves."""
    partial: dict[str, Any] = {}
    for field, kind in (("home", Region), ("nodes", NodeGroup), ("redis", RedisTier), ("sql", SqlTier), ("core", Core | None), ("routing", Routing)):
        try:
            partial[field] = TypeAdapter(kind).validate_python(values.get(field))
        except ValidationError:
            partial[field] = None
    return list(_check(**partial, core_known="core" not in values or partial["core"] is not None))


def _contradictions_of(a: Architecture) -> list[str]:
    return list(_check(home=a.home, nodes=a.nodes, redis=a.redis, sql=a.sql, core=a.core, routing=a.routing))


def _check(
    *,
    home: str | None,
    nodes: NodeGroup | None,
    redis: RedisTier | None,
    sql: SqlTier | None,
    core: Core | None,
    routing: Routing | None,
    core_known: bool = True,
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
    if redis and sql and core_known and core is None and "node" not in (redis.placement, sql.placement):
        yield f"{NAMESPACE}core: is missing; data that is not on the node needs a machine that drains the journal"
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
        limits = Limits(sql.limits.replicas_per_source, sql.limits.chain_length)
        try:
            place(home, sql.replica_regions, nodes.regions, sql.read_fallback, limits)
        except NoPlacementError as error:
            yield f"{NAMESPACE}sql.read-fallback: {error}"
