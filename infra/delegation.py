"""Whether a stack's domain lies in the hosted zone that the stack file names."""

from __future__ import annotations

import pulumi_aws as aws

from infra.asking import NoAnswer, ask, warn
from infra.site import Site

_NO_ZONE = "NoSuchHostedZone"
"""How Route53 says that there is no such zone; any other error is no answer."""


def refusals(site: Site) -> list[str]:
    """What stands against the zone that the stack file names, with what to do.

    What AWS does not say is warned of.
    """
    architecture = site.architecture
    zone_id = architecture.routing.zone_id
    if zone_id is None:
        return []
    answer = ask({zone_id: aws.route53.get_zone_output(zone_id=zone_id)})[zone_id]
    if isinstance(answer, NoAnswer):
        if _NO_ZONE in answer.reason:
            return [
                f"it has no hosted zone {zone_id}: put the id of one of this account's into"
                " isochrone:routing zone-id, or leave that out to have one made"
            ]
        warn("AWS did not say which domain is in the hosted zone", {zone_id: answer})
        return []
    zone = answer.name.rstrip(".")
    if f".{architecture.domain}".endswith(f".{zone}" if zone else ""):
        return []
    return [
        f"{architecture.domain} is not in the hosted zone {zone_id}, which has {zone}: set isochrone:domain"
        f" to that or to a name below it, such as {architecture.name}.{zone}"
    ]
