"""What an architecture needs of the quotas of an AWS account, by region.

The codes and names are those of the Service Quotas console. A quota is asked for by its name and raised by
its code: asked for by code, the provider calls GetAWSDefaultServiceQuota, which a moto server does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from infra.architecture import Architecture
from infra.capacity import pool_size
from infra.flows import network_regions
from infra.hardware import ordered_cores
from infra.orders import databases, instances


@dataclass(frozen=True)
class Quota:
    """One quota of AWS, as Service Quotas names it."""

    service: str
    code: str
    name: str


NETWORKS: Final = Quota("vpc", "L-F678F1CE", "VPCs per Region")
ADDRESSES: Final = Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs")
CORES: Final = Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances")
SERVERS: Final = Quota("rds", "L-7B6409FD", "DB instances")
REPLICAS: Final = Quota("rds", "L-5BC124EF", "Read replicas per primary")


@dataclass(frozen=True)
class Requirement:
    """How much of a quota an architecture by itself needs in a region."""

    quota: Quota
    region: str
    needed: int


def requirements(architecture: Architecture) -> tuple[Requirement, ...]:
    """What an architecture needs of quotas when every group of nodes is at its maximum, or is replaced."""
    return tuple(_requirements(architecture))


def _requirements(a: Architecture) -> Iterator[Requirement]:
    orders, servers = instances(a), databases(a)
    for region in network_regions(a):
        yield Requirement(NETWORKS, region, 1)
        if region in a.nodes.regions:
            yield Requirement(ADDRESSES, region, pool_size(a))
        cores = sum(o.count * ordered_cores(a.hardware, o.kind) for o in orders if o.region == region)
        if cores:
            yield Requirement(CORES, region, cores)
        if ordered := sum(order.count for order in servers if order.region == region):
            yield Requirement(SERVERS, region, ordered)
        if replicas := a.sql_placement.replicas_of(region):
            yield Requirement(REPLICAS, region, len(replicas))


def missing(
    needed: Sequence[Requirement],
    quotas: Mapping[Requirement, float],
    used: Mapping[Requirement, int] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The quotas that are too small, each with the request that raises it.

    Args:
        needed: what is needed.
        quotas: what the account has, by requirement; a quota that is not known is not in it.
        used: what others of the account use already, by requirement; nothing where it is not known.
    """
    return tuple(
        f"{r.quota.name} in {r.region}: {r.needed} are needed{_beside(used.get(r, 0))},"
        f" {quotas[r]:g} are allowed; file"
        f" `aws service-quotas request-service-quota-increase --service-code {r.quota.service}"
        f" --quota-code {r.quota.code} --desired-value {r.needed + used.get(r, 0)} --region {r.region}`"
        for r in needed
        if r in quotas and quotas[r] < r.needed + used.get(r, 0)
    )


def _beside(used: int) -> str:
    return f" beside {used} that are in use" if used else ""
