"""What an architecture orders of EC2 and RDS, region by region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infra.architecture import Architecture
from infra.capacity import CORE_MACHINES, pool_size


@dataclass(frozen=True)
class Order:
    """At most `count` machines of one kind in a region; `kind` is as the stack file names it."""

    region: str
    kind: str
    count: int


def instances(architecture: Architecture) -> tuple[Order, ...]:
    """The EC2 instances, of nodes as many as have an address; an order for each role in each region."""
    return tuple(_instances(architecture))


def _instances(a: Architecture) -> Iterator[Order]:
    for region in a.nodes.regions:
        yield Order(region, a.nodes.instance_type, pool_size(a))
    if a.core:
        yield Order(a.home, a.core.instance_type, CORE_MACHINES)
    if a.redis.instance_type:
        yield Order(a.home, a.redis.instance_type, 1 + a.redis.standbys)
    yield Order(a.home, a.monitoring.instance_type, 1)
    if a.load:
        for region in a.load.regions:
            yield Order(region, a.load.instance_type, a.load.per_region)


def databases(architecture: Architecture) -> tuple[Order, ...]:
    """The RDS instances: the master, then the replicas."""
    return tuple(_databases(architecture))


def _databases(a: Architecture) -> Iterator[Order]:
    if a.sql.instance_class:
        yield Order(a.home, a.sql.instance_class, 1)
    if a.sql.replica_class:
        for region in a.sql_placement.source_of:
            yield Order(region, a.sql.replica_class, 1)
