"""Which machines an architecture has in the lab, and what each of them runs.

Pure data: the world (namespaces, delays) and the processes are made from it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from infra.architecture import Architecture
from infra.hardware import INSTANCE_TYPES, SQL_CLASSES
from infra.hardware import Capacity as Hardware
from infra.regions import REGIONS, RttMatrix
from infra.routing import resolves_to
from lab.errors import LabError

Role = Literal["node", "core", "redis", "sql", "sql-replica", "users"]

_REGION_NUMBER: Final = {region: number for number, region in enumerate(REGIONS, start=1)}
_ROLE_NUMBER: Final[Mapping[Role, int]] = {
    "node": 10,
    "core": 20,
    "redis": 30,
    "sql": 40,
    "sql-replica": 41,
    "users": 100,
}


class NotEmulatedError(LabError):
    """The lab does not run this architecture as it is; the message has every key to change for it."""


@dataclass(frozen=True)
class Capacity:
    """What the machine that a namespace stands for has."""

    cores: int
    memory_mib: float
    disk_mib: float


@dataclass(frozen=True)
class Api:
    """A node's API processes, and the machines whose data they use."""

    processes: int
    redis_master: str
    redis_read: str
    sql_master: str
    sql_read: str


@dataclass(frozen=True)
class Redis:
    """A Redis server; `replica_of` is the machine that it follows at first, None on the first master.

    A `standby` may be promoted; where there are some, each server has an account for every use.
    """

    replica_of: str | None = None
    standby: bool = False
    append_sync: Literal["everysec", "always"] = "everysec"


@dataclass(frozen=True)
class Sentinel:
    """A Sentinel, which promotes a standby when the master is missed; `master` is the first one."""

    master: str


@dataclass(frozen=True)
class Follow:
    """The process that keeps the machine's replica hung to a standby."""


@dataclass(frozen=True)
class Sql:
    """A SQL server; `replica_of` is the machine of its source, None on the master."""

    replica_of: str | None = None
    log_flush: Literal["everysec", "commit"] = "everysec"


@dataclass(frozen=True)
class Ledger:
    """The process that drains the journal, and the machines it reads from and writes to."""

    redis_master: str
    sql_master: str


@dataclass(frozen=True)
class Machine:
    """One machine: where it is, what it stands for, and what runs on it.

    `instance` and `capacity` are None for the load generators, which count in no meter.
    """

    name: str
    region: str
    address: str
    role: Role
    instance: str | None = None
    capacity: Capacity | None = None
    api: Api | None = None
    redis: Redis | None = None
    sql: Sql | None = None
    ledger: Ledger | None = None
    sentinel: Sentinel | None = None
    follow: Follow | None = None


@dataclass(frozen=True)
class Topology:
    """The machines by name, and how a region's users find their node.

    `records` is what the architecture's DNS answers: for each region of users, addresses by name.
    """

    domain: str
    home: str
    machines: Mapping[str, Machine]
    resolves_to: Mapping[str, str]
    records: Mapping[str, Mapping[str, tuple[str, ...]]]
    ttl_s: int

    @property
    def play_name(self) -> str:
        """The name that users connect to."""
        return f"play.{self.domain}"

    @property
    def url(self) -> str:
        """The address of the service for a user anywhere."""
        return f"wss://{self.play_name}/ws"

    @property
    def redis_master(self) -> Machine:
        """The machine whose Redis takes the writes, until a standby is promoted."""
        return next(m for m in self.machines.values() if m.redis and m.redis.replica_of is None)

    @property
    def sentinels(self) -> tuple[Machine, ...]:
        """The machines at home with a Redis and a Sentinel; none when there is no standby."""
        return tuple(m for m in self.machines.values() if m.sentinel)

    @property
    def sql_master(self) -> Machine:
        """The machine whose SQL server takes the writes."""
        return next(m for m in self.machines.values() if m.sql and m.sql.replica_of is None)

    @property
    def home_machine(self) -> Machine:
        """The machine on which the ledger runs and the operator's commands are run."""
        return next(m for m in self.machines.values() if m.ledger)

    def of_role(self, role: Role) -> tuple[Machine, ...]:
        """The machines of a role."""
        return tuple(m for m in self.machines.values() if m.role == role)


def machine_name(role: Role, region: str, index: int = 0) -> str:
    """The name of a region's machine of a role; those of which there is one are called by their role."""
    name = role if role in ("core", "redis", "sql") else f"{role}-{region}"
    return f"{name}-{index}" if index else name


def address(role: Role, region: str, index: int = 0) -> str:
    """The address 198.18.REGION.ROLE of a region's machine of a role (RFC 2544: for benchmarks)."""
    return f"198.18.{_REGION_NUMBER[region]}.{_ROLE_NUMBER[role] + index}"


def topology(architecture: Architecture, matrix: RttMatrix) -> Topology:
    """The machines of an architecture under a matrix of round trips, with those of the load generators.

    Raises:
        NotEmulatedError: when it has more machines than the lab runs.
    """
    if refusals := list(_not_emulated(architecture)):
        raise NotEmulatedError(f"the lab does not run {architecture.name} as it is: {'; '.join(refusals)}")
    machines = {machine.name: machine for machine in _machines(architecture)}
    nodes = resolves_to(architecture, matrix)
    play = f"play.{architecture.domain}"
    regional = {f"{region}.{play}": (address("node", region),) for region in architecture.nodes.regions}
    return Topology(
        domain=architecture.domain,
        home=architecture.home,
        machines=machines,
        resolves_to=nodes,
        records={user: {play: (address("node", node),), **regional} for user, node in nodes.items()},
        ttl_s=architecture.routing.ttl_s,
    )


def _not_emulated(a: Architecture) -> Iterator[str]:
    if a.nodes.per_region > 1:
        yield f"it runs one node in a region, not {a.nodes.per_region}: set isochrone:nodes.per-region to 1"


def _machines(a: Architecture) -> Iterator[Machine]:
    home_node = machine_name("node", a.home)
    redis_master = home_node if a.redis.placement == "node" else "redis"
    sql_master = home_node if a.sql.placement == "node" else "sql"
    ledger = Ledger(redis_master, sql_master)
    placement = a.sql_placement

    def sql_server(region: str) -> str:
        return sql_master if region == a.home else machine_name("sql-replica", region)

    node_capacity = _capacity(INSTANCE_TYPES, a.nodes.instance_type, a.nodes.volume.size_gib)
    for number, region in enumerate(a.nodes.regions):
        local_replica = a.redis.placement == "replicated"
        # As on AWS, replicas hang from the standbys where there are some.
        upstream = machine_name("redis", a.home, number % a.redis.standbys + 1) if a.redis.standbys else None
        yield Machine(
            machine_name("node", region),
            region,
            address("node", region),
            "node",
            a.nodes.instance_type,
            node_capacity,
            api=Api(
                processes=a.nodes.api_processes,
                redis_master=redis_master,
                redis_read=machine_name("node", region) if local_replica else redis_master,
                sql_master=sql_master,
                sql_read=sql_server(placement.reads_from[region]),
            ),
            redis=_node_redis(a, upstream or redis_master),
            sql=Sql(log_flush=a.sql.log_flush) if a.sql.placement == "node" else None,
            ledger=ledger if a.core is None and region == a.home else None,
            follow=Follow() if local_replica and a.redis.standbys else None,
        )
    if a.core:
        capacity = _capacity(INSTANCE_TYPES, a.core.instance_type, a.core.volume.size_gib)
        yield _machine("core", a.home, a.core.instance_type, capacity, ledger=ledger)
    if a.redis.instance_type and a.redis.volume:
        capacity = _capacity(INSTANCE_TYPES, a.redis.instance_type, a.redis.volume.size_gib)
        for index in range(1 + a.redis.standbys):
            yield Machine(
                machine_name("redis", a.home, index),
                a.home,
                address("redis", a.home, index),
                "redis",
                a.redis.instance_type,
                capacity,
                redis=Redis(redis_master if index else None, index > 0, a.redis.append_sync),
                sentinel=Sentinel(redis_master) if a.redis.standbys else None,
            )
    if a.sql.instance_class and a.sql.volume:
        capacity = _capacity(SQL_CLASSES, a.sql.instance_class, a.sql.volume.size_gib)
        yield _machine("sql", a.home, a.sql.instance_class, capacity, sql=Sql(log_flush=a.sql.log_flush))
    if a.sql.replica_class and a.sql.volume:
        capacity = _capacity(SQL_CLASSES, a.sql.replica_class, a.sql.volume.size_gib)
        for region, source in placement.source_of.items():
            replica = Sql(sql_server(source), a.sql.log_flush)
            yield _machine("sql-replica", region, a.sql.replica_class, capacity, sql=replica)
    for region in REGIONS:
        yield _machine("users", region)


def _node_redis(a: Architecture, master: str) -> Redis | None:
    match a.redis.placement:
        case "node":
            return Redis(append_sync=a.redis.append_sync)
        case "replicated":
            return Redis(replica_of=master)
        case "home":
            return None


def _machine(
    role: Role,
    region: str,
    instance: str | None = None,
    capacity: Capacity | None = None,
    *,
    sql: Sql | None = None,
    ledger: Ledger | None = None,
) -> Machine:
    return Machine(
        machine_name(role, region),
        region,
        address(role, region),
        role,
        instance,
        capacity,
        sql=sql,
        ledger=ledger,
    )


def _capacity(table: Mapping[str, Hardware], instance: str, disk_gib: int) -> Capacity:
    hardware = table[instance]
    return Capacity(hardware.cores, hardware.memory_gib * 1024, disk_gib * 1024)
