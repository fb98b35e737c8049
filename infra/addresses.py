"""The address plan: a network per region that never overlaps another, divided into zones and tiers.

    10.N.0.0/16     the region, N by its place in `REGIONS`
    10.N.0.0/20     public subnet of the first zone, then 10.N.16.0/20, ...
    10.N.128.0/20   isolated subnet of the first zone, then 10.N.144.0/20, ...

Machines that others have to find without asking have fixed addresses in the isolated subnets at home.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import Final, Literal

from infra.errors import InfraError
from infra.regions import REGIONS

Tier = Literal["public", "isolated"]

REDIS_HOST: Final = 10
"""The host number of a Redis machine in its isolated subnet: the master's zone is the first."""

MONITORING_HOST: Final = 20
"""The host number of the monitoring machine in the first isolated subnet at home."""

RESERVED_HOSTS: Final = 4
"""The first addresses of a subnet, which AWS keeps for itself (network, router, DNS, future use)."""

_SUBNET_PREFIX: Final = 20
_FIRST_ISOLATED: Final = 8


class AddressPlanError(InfraError):
    """Networks that are to be peered overlap; the message names them."""


@dataclass(frozen=True)
class RegionAddresses:
    """A region's network and its subnets, one per zone in each tier."""

    network: IPv4Network
    public: tuple[IPv4Network, ...]
    isolated: tuple[IPv4Network, ...]

    def tier(self, tier: Tier) -> IPv4Network:
        """The half of the network that has the tier's subnets, of all zones."""
        return list(self.network.subnets(prefixlen_diff=1))[("public", "isolated").index(tier)]

    def host(self, zone: int, number: int) -> IPv4Address:
        """The address with that host number in the isolated subnet of a zone (counted from 0).

        Raises:
            AddressPlanError: when the subnet has no such address, or AWS keeps it.
        """
        subnet = self.isolated[zone]
        if not RESERVED_HOSTS <= number < subnet.num_addresses - 1:
            raise AddressPlanError(f"{subnet} has no free address number {number}")
        return subnet[number]


def plan(zones: Mapping[str, int]) -> Mapping[str, RegionAddresses]:
    """The addresses of each region, with a subnet of either tier in each of its zones.

    Args:
        zones: how many zones the network of each region spans.

    Raises:
        AddressPlanError: when two networks overlap.
    """
    found = {region: _region(tuple(REGIONS).index(region) + 1, count) for region, count in zones.items()}
    check_disjoint({region: addresses.network for region, addresses in found.items()})
    return found


def check_disjoint(networks: Mapping[str, IPv4Network]) -> None:
    """Networks that are peered must not overlap.

    Raises:
        AddressPlanError: with every pair that does.
    """
    if overlaps := list(_overlaps(networks)):
        raise AddressPlanError("; ".join(overlaps))


def _overlaps(networks: Mapping[str, IPv4Network]) -> Iterator[str]:
    for (a, one), (b, other) in combinations(networks.items(), 2):
        if one.overlaps(other):
            yield f"the networks of {a} ({one}) and {b} ({other}) overlap"


def _region(number: int, zones: int) -> RegionAddresses:
    network = IPv4Network(f"10.{number}.0.0/16")
    subnets = list(network.subnets(new_prefix=_SUBNET_PREFIX))
    return RegionAddresses(
        network, tuple(subnets[:zones]), tuple(subnets[_FIRST_ISOLATED : _FIRST_ISOLATED + zones])
    )
