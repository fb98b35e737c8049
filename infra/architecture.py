"""An architecture: the one description from which the cloud, the lab, the cost and the report are made.

It holds data only; `infra.stackfile` reads it from a stack's `Pulumi.<stack>.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.dataclasses import dataclass

from infra.keys import STACK_FILE_KEYS
from infra.regions import REGIONS
from infra.replicas import Limits, Placement, place


def _region(value: str) -> str:
    if value not in REGIONS:
        raise ValueError(f"is not a region of the comparison; choose one of {', '.join(REGIONS)}")
    return value


Region = Annotated[str, AfterValidator(_region)]
Domain = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
]


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Volume:
    """A machine's disk: its size and, where they are provisioned, its operations per second."""

    size_gib: Annotated[int, Field(gt=0, le=16384)]
    iops: Annotated[int, Field(gt=0, le=64000)] | None = None


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class NodeGroup:
    """The WebSocket nodes: `per_region` machines in each region, `api_processes` on each machine."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    instance_type: str
    api_processes: Annotated[int, Field(ge=1, le=128)]
    volume: Volume
    per_region: Annotated[int, Field(ge=1, le=1)] = 1


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Core:
    """The small machine at home that drains the journal, where data is not on the node itself."""

    instance_type: str
    volume: Volume


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class RedisTier:
    """Where live state is: on the node, on a machine at home, or there with a replica on every node."""

    placement: Literal["node", "home", "replicated"]
    instance_type: str | None = None
    volume: Volume | None = None


@dataclass(frozen=True, config=STACK_FILE_KEYS)
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
    limits: Limits = Limits()


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Routing:
    """How users reach a node: the record's policy and time to live."""

    policy: Literal["simple", "latency"]
    ttl_s: Annotated[int, Field(ge=1, le=86400)] = 60


@dataclass(frozen=True, config=STACK_FILE_KEYS)
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
        return place(self.home, wanted, self.nodes.regions, self.sql.read_fallback, self.sql.limits)

    def redis_region(self, node_region: str) -> str:
        """The region whose Redis serves the live reads of the nodes in `node_region`."""
        return self.home if self.redis.placement == "home" else node_region
