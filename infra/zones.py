"""Which availability zones of a region a network spans: those that have the machines, as far as there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import pulumi
import pulumi_aws as aws

from infra.architecture import FEWEST_ZONES
from infra.hardware import ordered_type
from infra.orders import instances
from infra.site import Site


def ranked(names: Sequence[str], types: Collection[str], offers: Collection[tuple[str, str]]) -> list[str]:
    """The zones of a region, those that offer the most of the types first, else in their order.

    A zone does not always have an older type: in São Paulo two of three have an m3.

    Args:
        names: the zones, in the provider's order.
        types: the types that the architecture orders in the region.
        offers: pairs of a type and a zone that has it; none when AWS does not say.
    """
    return sorted(names, key=lambda zone: -sum((kind, zone) in offers for kind in types))


def zones(site: Site, region: str) -> list[pulumi.Output[str]]:
    """The zones that the network of a region spans, as many as the architecture asks for.

    Raises:
        pulumi.RunError: from the outputs, when the account has fewer.
    """
    architecture = site.architecture
    wanted = architecture.zones_in(region)
    ordered = [o.kind for o in instances(architecture) if o.region == region]
    types = sorted({ordered_type(architecture.hardware, kind) for kind in ordered})
    names = aws.get_availability_zones_output(
        region=region,
        state="available",
        filters=[aws.GetAvailabilityZonesFilterArgs(name="zone-type", values=["availability-zone"])],
    ).names
    if not types:
        return [names.apply(partial(_zone, index, region, wanted)) for index in range(wanted)]
    offered = aws.ec2.get_instance_type_offerings_output(
        region=region,
        location_type="availability-zone",
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=types)],
    )
    offers = offered.apply(
        lambda found: list(zip(found.instance_types, found.locations, strict=True))
    ).recover(lambda _: [])
    best = pulumi.Output.all(names, offers).apply(
        lambda known: ranked(known[0], types, {(kind, zone) for kind, zone in known[1]})
    )
    return [best.apply(partial(_zone, index, region, wanted)) for index in range(wanted)]


def _zone(index: int, region: str, wanted: int, names: Sequence[str]) -> str:
    if index >= len(names):
        advice = "lower isochrone:zones" if wanted > FEWEST_ZONES else "take another region"
        raise pulumi.RunError(
            f"{region} has {len(names)} availability zones for this account, {wanted} are needed: {advice}"
        )
    return names[index]
