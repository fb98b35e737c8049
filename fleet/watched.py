"""What of a stack counts in the utilisation meters, how large it is, and by what name CloudWatch knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.windows import MachineCapacity
from fleet.errors import FleetError
from fleet.machines import Machine
from infra.architecture import Architecture, Volume
from infra.flows import Role
from infra.group_names import GROUPED, group_name
from infra.hardware import (
    CURRENT_CAPACITIES,
    INSTANCE_TYPES,
    ORDERED_SQL_CAPACITIES,
    Capacity,
    ordered_class,
    ordered_type,
)
from infra.metric_names import (
    CPU_PERCENT,
    DISK_PERCENT,
    GROUP_DIMENSION,
    MACHINE_DIMENSION,
    MEMORY_PERCENT,
    NAMESPACE,
    NETWORK_IN,
    NETWORK_OUT,
)
from infra.site import Site

COUNTED: Final[Sequence[Role]] = ("node", "core", "redis")
"""The roles that count, beside SQL: neither the load machines nor the one that watches serve anybody."""

Figure = Literal["cpu", "memory", "disk", "in", "out"]


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch: what it is of, and how its minutes are read.

    Args:
        namespace: who reports it.
        name: its name.
        dimension: the name of its dimension.
        value: the dimension's value.
        statistic: how the values of a minute become one.
    """

    namespace: str
    name: str
    dimension: str
    value: str
    statistic: Literal["Average", "Sum"] = "Average"


@dataclass(frozen=True)
class Watched:
    """A machine or SQL server: its region, its size, and the metric of each figure."""

    region: str
    capacity: MachineCapacity
    metrics: Mapping[Figure, Metric]


def watched(site: Site, machines: Sequence[Machine], sql_hosts: Mapping[str, str]) -> list[Watched]:
    """All that counts.

    Args:
        site: the stack.
        machines: its running machines.
        sql_hosts: the host name of the SQL server in each region that has one.

    Raises:
        FleetError: when a machine has a role that the architecture has not.
    """
    return [*_machines(site, machines), *_servers(site.architecture, sql_hosts)]


def _machines(site: Site, machines: Sequence[Machine]) -> Iterator[Watched]:
    for machine in machines:
        for role in COUNTED:
            if machine.role == role:
                yield _machine(site, role, machine)


def _machine(site: Site, role: Role, machine: Machine) -> Watched:
    kind, volume = _made_of(site.architecture, role)
    size = instance_size(site.architecture, kind)
    return Watched(
        machine.region,
        _capacity(machine.instance_id, role, size, volume),
        _metrics(site, role, machine),
    )


def _metrics(site: Site, role: Role, machine: Machine) -> dict[Figure, Metric]:
    """Of a group's machines AWS takes processor and network every minute; others tell it themselves."""
    if role in GROUPED:
        reported = (GROUP_DIMENSION, group_name(site, role, machine.region))
        own = ("InstanceId", machine.instance_id)
        work: dict[Figure, Metric] = {
            "cpu": Metric("AWS/EC2", "CPUUtilization", *own),
            "in": Metric("AWS/EC2", "NetworkIn", *own, "Sum"),
            "out": Metric("AWS/EC2", "NetworkOut", *own, "Sum"),
        }
    else:
        reported = (MACHINE_DIMENSION, machine.title)
        work = {
            "cpu": Metric(NAMESPACE, CPU_PERCENT.name, *reported),
            "in": Metric(NAMESPACE, NETWORK_IN.name, *reported, "Sum"),
            "out": Metric(NAMESPACE, NETWORK_OUT.name, *reported, "Sum"),
        }
    return work | {
        "memory": Metric(NAMESPACE, MEMORY_PERCENT.name, *reported),
        "disk": Metric(NAMESPACE, DISK_PERCENT.name, *reported),
    }


def _made_of(a: Architecture, role: Role) -> tuple[str, Volume]:
    tier = {"node": a.nodes, "core": a.core, "redis": a.redis}[role]
    if tier is None or tier.instance_type is None or tier.volume is None:
        raise FleetError(f"{a.name} has a {role} machine that its stack file does not have: run `pulumi up`")
    return tier.instance_type, tier.volume


def instance_size(architecture: Architecture, kind: str) -> Capacity:
    """The cores and memory of what is ordered for a type that the stack file names."""
    if architecture.hardware == "current":
        return CURRENT_CAPACITIES[ordered_type(architecture.hardware, kind)]
    return INSTANCE_TYPES[kind]


def server_size(architecture: Architecture, kind: str) -> Capacity:
    """The cores and memory of the class that is ordered for one that the stack file names."""
    return ORDERED_SQL_CAPACITIES[ordered_class(architecture.hardware, kind)]


def _servers(a: Architecture, sql_hosts: Mapping[str, str]) -> Iterator[Watched]:
    for region, host in sql_hosts.items():
        identifier = host.partition(".")[0]
        role = "sql" if region == a.home else "sql-replica"
        kind = a.sql.instance_class if region == a.home else a.sql.replica_class
        if kind is None or a.sql.volume is None:
            raise FleetError(f"{a.name} has a SQL server in {region} that its stack file does not have")

        def metric(name: str, identifier: str = identifier) -> Metric:
            return Metric("AWS/RDS", name, "DBInstanceIdentifier", identifier)

        yield Watched(
            region,
            _capacity(identifier, role, server_size(a, kind), a.sql.volume),
            {
                "cpu": metric("CPUUtilization"),
                "memory": metric("FreeableMemory"),
                "disk": metric("FreeStorageSpace"),
                "in": metric("NetworkReceiveThroughput"),
                "out": metric("NetworkTransmitThroughput"),
            },
        )


def _capacity(name: str, role: str, size: Capacity, volume: Volume) -> MachineCapacity:
    return MachineCapacity(name, role, size.cores, size.memory_gib * 1024, volume.size_gib * 1024)
