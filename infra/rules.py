"""The security rules of an architecture, made from its flows: what may open a connection to what.

Within a region a rule names the other side's security group; across regions, where groups cannot be named,
the address range of the other side's tier of subnets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, Literal

from infra.flows import HTTP_PORT, HTTPS_PORT, Flow, Place, Role, flows, places
from infra.site import Site

WORLD: Final = IPv4Network("0.0.0.0/0")

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, order=True)
class Rule:
    """One rule of the security group of a place: TCP to one port, from or to a peer.

    The peer is another role's group of the same region, or an address range.
    """

    place: Place
    direction: Direction
    port: int
    peer: Role | IPv4Network
    purpose: str

    @property
    def key(self) -> str:
        """A name for the rule that no other rule of the stack has, of letters, digits and hyphens."""
        peer = self.peer if isinstance(self.peer, str) else str(self.peer).replace(".", "-").replace("/", "-")
        return "-".join((self.place.role, self.place.region, self.direction, str(self.port), peer))


def rules(site: Site) -> tuple[Rule, ...]:
    """Every rule of the architecture's security groups; what none of them allows is refused."""
    found: dict[str, Rule] = {}
    for rule in _rules(site):
        found.setdefault(rule.key, rule)
    return tuple(found.values())


def _rules(site: Site) -> Iterator[Rule]:
    for flow in flows(site.architecture):
        yield Rule(flow.target, "ingress", flow.port, _peer(site, flow, flow.source), flow.purpose)
        yield Rule(flow.source, "egress", flow.port, _peer(site, flow, flow.target), flow.purpose)
    for place in places(site.architecture):
        if place.role == "node":
            yield Rule(place, "ingress", HTTPS_PORT, WORLD, "users")
            yield Rule(place, "ingress", HTTP_PORT, WORLD, "the redirect to HTTPS")
        if place.tier == "public":
            yield Rule(place, "egress", HTTPS_PORT, WORLD, "AWS and security upgrades and certificates")
            yield Rule(place, "egress", HTTP_PORT, WORLD, "security upgrades")
        elif place.role != "sql":
            # The isolated subnets have no route to the world: this reaches S3 and the interface endpoints.
            yield Rule(place, "egress", HTTPS_PORT, WORLD, "AWS by the endpoints of the network")


def _peer(site: Site, flow: Flow, other: Place) -> Role | IPv4Network:
    return site.addresses[other.region].tier(other.tier) if flow.crosses else other.role
