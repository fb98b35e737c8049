"""Who can open a connection to whom, by what AWS says of routes, peerings and security rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from tests.infra.cloud.account import Account

LOCAL: Final = "local"
WORLD: Final = IPv4Network("0.0.0.0/0")
SOMEBODY: Final = IPv4Address("203.0.113.7")
"""An address of the world's, of the range that is kept for documentation."""


@dataclass(frozen=True)
class Spot:
    """Where a machine is, or may be: an address in a subnet, with its security groups."""

    region: str
    vpc: str
    subnet: str
    address: IPv4Address
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of a subnet: to `network` by `target`, which is `local`, a peering or a gateway."""

    network: IPv4Network
    target: str


@dataclass(frozen=True)
class Rule:
    """A rule of a security group: ports from `first` to `last` with a range of addresses or a group."""

    group: str
    egress: bool
    protocol: str
    first: int
    last: int
    peer: str | IPv4Network

    def admits(self, port: int, address: IPv4Address, groups: Sequence[str]) -> bool:
        """Whether it lets TCP to a port through, with a peer of an address and its groups."""
        covers = self.protocol == "-1" or (self.protocol == "tcp" and self.first <= port <= self.last)
        peer = self.peer in groups if isinstance(self.peer, str) else address in self.peer
        return covers and peer


@dataclass(frozen=True)
class Peering:
    """An active peering between two networks."""

    id: str
    vpcs: frozenset[str]


@dataclass(frozen=True)
class Networks:
    """All networks of an account, as far as connections go."""

    routes: Mapping[str, tuple[Route, ...]]
    rules: tuple[Rule, ...]
    peerings: Mapping[str, Peering]

    def obstacles(self, source: Spot, target: Spot, port: int) -> list[str]:
        """What keeps a machine from opening a TCP connection to a port of another; nothing when it can."""
        found = []
        for here, there in ((source, target), (target, source)):
            if not self._leads(here, there):
                found.append(
                    f"no route from {here.address} ({here.region}) to {there.address} ({there.region})"
                )
        if not self._admits(source, port, target, egress=True):
            found.append(
                f"{source.region}: no rule out of {', '.join(source.groups)} to {target.address}:{port}"
            )
        if not self._admits(target, port, source, egress=False):
            found.append(
                f"{target.region}: no rule into {', '.join(target.groups)} from {source.address}:{port}"
            )
        return found

    def open_to_world(self, spot: Spot, port: int) -> bool:
        """Whether the world can open a connection to a port, if the machine has a public address."""
        route = self._route(spot.subnet, SOMEBODY)
        somebody = Spot("", "", "", SOMEBODY, ())
        return (
            route is not None
            and route.target.startswith("igw-")
            and self._admits(spot, port, somebody, egress=False)
        )

    def _leads(self, here: Spot, there: Spot) -> bool:
        route = self._route(here.subnet, there.address)
        if route is None:
            return False
        if route.target == LOCAL:
            return here.vpc == there.vpc
        peering = self.peerings.get(route.target)
        return peering is not None and peering.vpcs == {here.vpc, there.vpc}

    def _route(self, subnet: str, address: IPv4Address) -> Route | None:
        found = [route for route in self.routes.get(subnet, ()) if address in route.network]
        return max(found, key=lambda route: route.network.prefixlen, default=None)

    def _admits(self, spot: Spot, port: int, peer: Spot, *, egress: bool) -> bool:
        # A group may be named within its own network only.
        groups = peer.groups if peer.vpc == spot.vpc else ()
        return any(
            rule.admits(port, peer.address, groups)
            for rule in self.rules
            if rule.group in spot.groups and rule.egress == egress
        )


def read(account: Account, regions: Iterable[str]) -> Networks:
    """The networks of some regions, as AWS describes them."""
    routes: dict[str, tuple[Route, ...]] = {}
    rules: list[Rule] = []
    peerings: dict[str, Peering] = {}
    for region in regions:
        ec2 = account.client("ec2", region)
        for table in ec2.describe_route_tables()["RouteTables"]:
            for association in table["Associations"]:
                if "SubnetId" in association:
                    routes[association["SubnetId"]] = tuple(_routes(table["Routes"]))
        for page in ec2.get_paginator("describe_security_group_rules").paginate():
            rules += [_rule(rule) for rule in page["SecurityGroupRules"]]
        for found in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
            if found["Status"]["Code"] == "active":
                ends = frozenset(found[end]["VpcId"] for end in ("RequesterVpcInfo", "AccepterVpcInfo"))
                peerings[found["VpcPeeringConnectionId"]] = Peering(found["VpcPeeringConnectionId"], ends)
    return Networks(routes, tuple(rules), peerings)


def _routes(routes: Iterable[Mapping[str, Any]]) -> Iterator[Route]:
    for route in routes:
        if "DestinationCidrBlock" in route:
            target = route.get("GatewayId") or route.get("VpcPeeringConnectionId") or "nothing"
            yield Route(IPv4Network(route["DestinationCidrBlock"]), target)


def _rule(rule: Mapping[str, Any]) -> Rule:
    named = rule.get("ReferencedGroupInfo", {}).get("GroupId")
    return Rule(
        rule["GroupId"],
        rule["IsEgress"],
        rule["IpProtocol"],
        rule.get("FromPort", 0),
        rule.get("ToPort", 65535),
        named or IPv4Network(rule["CidrIpv4"]),
    )
