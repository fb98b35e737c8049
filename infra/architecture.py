"""An architecture: the one description from which the cloud, the lab, the cost and the report are made.

It holds data only; `infra.stackfile` reads it from a stack's `Pulumi.<stack>.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from pydantic.dataclasses import dataclass

from infra.hardware import Hardware
from infra.keys import STACK_FILE_KEYS
from infra.regions import REGIONS
from infra.replicas import Limits, Placement, place

FEWEST_ZONES: Final = 2
"""The availability zones of a region's network, where the stack file does not ask for more."""


def _region(value: str) -> str:
    if value not in REGIONS:
        raise ValueError(f"is not a region of the comparison; choose one of {', '.join(REGIONS)}")
    return value


Region = Annotated[str, AfterValidator(_region)]
Domain = Annotated[
    str, StringConstraints(max_length=232, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
]
"""The longest name below it, `_acme-challenge.play.DOMAIN`, stays within DNS's 253 characters."""


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Volume:
    """A machine's disk: its size and, where they are provisioned, its operations per second."""

    size_gib: Annotated[int, Field(gt=0, le=16384)]
    iops: Annotated[int, Field(gt=0, le=64000)] | None = None


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Scaling:
    """How a region's group of nodes grows and shrinks, between `minimum` and `maximum` machines.

    `alarms` is the thesis's way: one policy out and one in, each on an alarm of the mean CPU use (percent).
    `connections` tracks a number of connections per node. Never both.
    """

    policy: Literal["alarms", "connections"] = "alarms"
    minimum: Annotated[int, Field(ge=0, le=50)] = 1
    maximum: Annotated[int, Field(ge=1, le=50)] = 2
    out_cpu_percent: Annotated[float, Field(gt=0, le=100)] = 70
    in_cpu_percent: Annotated[float, Field(ge=0, lt=100)] = 20
    connections_per_node: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    cooldown_s: Annotated[int, Field(ge=0, le=86_400)] = 300


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class ScheduledCapacity:
    """The machines that each region has for a known match, from `start` to `end`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    start: AwareDatetime
    end: AwareDatetime
    per_region: Annotated[int, Field(ge=0, le=50)]


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class NodeGroup:
    """The WebSocket nodes: `per_region` machines in each region, `api_processes` on each machine."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    instance_type: str
    api_processes: Annotated[int, Field(ge=1, le=128)]
    volume: Volume
    per_region: Annotated[int, Field(ge=1, le=50)] = 1
    scaling: Scaling = Scaling()
    schedules: tuple[ScheduledCapacity, ...] = ()


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Core:
    """The small machine at home that drains the journal, where data is not on the node itself."""

    instance_type: str
    volume: Volume


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class RedisTier:
    """Where live state is: on the node, on a machine at home, or there with a replica on every node.

    `standbys` are further machines at home, in other zones, that Sentinel may promote. `append_sync` is when
    the file of a master is brought to its disk: before each answer, or every second (decision 16).
    """

    placement: Literal["node", "home", "replicated"]
    instance_type: str | None = None
    volume: Volume | None = None
    standbys: Annotated[int, Field(ge=0, le=2)] = 0
    append_sync: Literal["everysec", "always"] = "always"


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class SqlTier:
    """Where history is: on the node, on a server at home, or there with replicas in other regions.

    `replica_regions` are in the order of preference; a region without a replica reads from the one that
    `read_fallback` names for it, or from home. `log_flush` is when a server's log is brought to its disk: at
    each commit, or every second (decision 22).
    """

    placement: Literal["node", "home", "replicated"]
    instance_class: str | None = None
    volume: Volume | None = None
    replica_class: str | None = None
    replica_regions: tuple[Region, ...] = ()
    read_fallback: Mapping[Region, Region] = Field(default_factory=dict)
    limits: Limits = Limits()
    engine: Literal["mariadb", "mysql"] = "mariadb"
    engine_version: Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)?$")] = "10.11"
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    log_flush: Literal["everysec", "commit"] = "commit"


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Routing:
    """How users reach a node: the record's policy and time to live.

    `zone_id` names a hosted zone that exists already; without it the stack makes one for the domain.
    """

    policy: Literal["simple", "latency", "geolocation"]
    ttl_s: Annotated[int, Field(ge=1, le=86400)] = 60
    zone_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{4,32}$")] | None = None


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Alarms:
    """The thresholds above which the stack's topic is told; `email` subscribes to it.

    Percent of a machine's CPU, memory, disk and of the descriptors that its connections may take; accept
    queue overflows per minute; seconds that a SQL replica is behind; entries of the journal that wait for
    SQL; ms that the 98th percentile of broadcasts is late.
    """

    cpu_percent: Annotated[float, Field(gt=0, le=100)] = 85
    memory_percent: Annotated[float, Field(gt=0, le=100)] = 85
    disk_percent: Annotated[float, Field(gt=0, le=100)] = 80
    connections_percent: Annotated[float, Field(gt=0, le=100)] = 80
    accept_overflows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    replica_lag_s: Annotated[float, Field(gt=0, le=86_400)] = 30
    ledger_backlog: Annotated[int, Field(gt=0, le=1_000_000_000)] = 50_000
    broadcast_late_ms: Annotated[float, Field(gt=0, le=60_000)] = 1000
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)] | None = None


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Monitoring:
    """The private machine with Prometheus at home, and how many days logs are kept."""

    instance_type: str = "m3.medium"
    volume: Volume = Volume(size_gib=50)
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 14


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class LoadFleet:
    """The machines that put the load of a benchmark on the stack, from where its users are.

    `per_region` machines in each of the regions, which need not have nodes; what they measure is kept for
    `keep_days` in the stack's bucket. The thesis had 15 m1.small with 200 users each in every region, which
    it calls hugely over-provisioned; `docs/aws.md` says how many users a core carries.
    """

    instance_type: str = "m3.medium"
    per_region: Annotated[int, Field(ge=1, le=50)] = 1
    regions: Annotated[tuple[Region, ...], Field(min_length=1)] = tuple(REGIONS)
    volume: Volume = Volume(size_gib=20)
    keep_days: Annotated[int, Field(ge=1, le=365)] = 14


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Architecture:
    """One candidate answer to where the servers and the data go.

    `zones` is how many availability zones the network at home spans (`zones_in` knows any region's); `image`
    is the tag of the machine image; `load` is the fleet of a benchmark, None for none; `certificate` says
    whether the certificate is given as a secret or issued by ACME; `protect` keeps data from being deleted
    with the stack; at `expiry` every group of machines goes to zero.
    """

    title: Annotated[str, Field(min_length=1, max_length=80)]
    home: Region
    domain: Domain
    hardware: Hardware
    nodes: NodeGroup
    redis: RedisTier
    sql: SqlTier
    routing: Routing
    core: Core | None = None
    load: LoadFleet | None = None
    alarms: Alarms = Alarms()
    monitoring: Monitoring = Monitoring()
    zones: Annotated[int, Field(ge=FEWEST_ZONES, le=3)] = FEWEST_ZONES
    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")] = "current"
    certificate: Literal["acme", "given"] = "acme"
    protect: bool = True
    expiry: AwareDatetime | None = None
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=31)] = "architecture"

    def zones_in(self, region: str) -> int:
        """How many availability zones the network of a region spans: of N. California an account sees two."""
        return self.zones if region == self.home else FEWEST_ZONES

    @property
    def sql_placement(self) -> Placement:
        """Which SQL server each region's reads go to, and what every replica replicates from."""
        wanted = self.sql.replica_regions if self.sql.placement == "replicated" else ()
        return place(self.home, wanted, self.nodes.regions, self.sql.read_fallback, self.sql.limits)

    def redis_region(self, node_region: str) -> str:
        """The region whose Redis serves the live reads of the nodes in `node_region`."""
        return self.home if self.redis.placement == "home" else node_region
