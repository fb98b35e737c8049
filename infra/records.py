"""The DNS records that an architecture declares, before there are addresses to put in them.

`play.DOMAIN` leads to a region, by the stack file's policy; `REGION.play.DOMAIN` answers with several
addresses of that region's nodes, those that are healthy. So users are sent near *and* to what is available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.geolocation import Location, answers
from infra.site import Site

Policy = Literal["simple", "latency", "geolocation"]


@dataclass(frozen=True)
class AddressRecord:
    """One address of a region: an answer among several of the regional name, while its check succeeds.

    Args:
        region: the region of the nodes.
        name: the regional name.
        set_identifier: what tells it from the others of the name, unique in the zone; counted from 1.
        ttl_s: how long resolvers may keep it, in seconds.
    """

    region: str
    name: str
    set_identifier: str
    ttl_s: int


@dataclass(frozen=True)
class AliasRecord:
    """The play name's answer for some of its users: the regional name of one region.

    Args:
        region: the region that they are sent to.
        name: the play name.
        target: the regional name.
        policy: how Route53 chooses between the records of the name.
        set_identifier: what tells it from the others of the name, unique in the zone; none when simple.
        location: where the users are, with the policy geolocation only.
    """

    region: str
    name: str
    target: str
    policy: Policy
    set_identifier: str | None = None
    location: Location | None = None


def address_records(site: Site, region: str, addresses: int) -> tuple[AddressRecord, ...]:
    """The records of a region's name, one for each of its `addresses`."""
    ttl_s = site.architecture.routing.ttl_s
    return tuple(
        AddressRecord(region, site.regional_name(region), f"{region}-{number}", ttl_s)
        for number in range(1, addresses + 1)
    )


def alias_records(site: Site) -> tuple[AliasRecord, ...]:
    """The records of the play name: one, one per region, or one per location that differs."""
    architecture = site.architecture
    policy = architecture.routing.policy
    match policy:
        case "simple":
            return (_alias(site, architecture.nodes.regions[0], policy),)
        case "latency":
            return tuple(_alias(site, region, policy, region) for region in architecture.nodes.regions)
        case "geolocation":
            return tuple(
                _alias(site, region, policy, _identifier(location), location)
                for location, region in answers(architecture).items()
            )


def _alias(
    site: Site,
    region: str,
    policy: Policy,
    set_identifier: str | None = None,
    location: Location | None = None,
) -> AliasRecord:
    return AliasRecord(region, site.play_name, site.regional_name(region), policy, set_identifier, location)


def _identifier(location: Location) -> str:
    return f"geo-{location.code}".replace("*", "default")
