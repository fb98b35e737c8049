"""Which availability zones of a region a network spans: those that have the machines, as far as there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import pulumi
import pulumi_aws as aws

from infra.architecture import FEWEST_ZONES, Architecture
from infra.asking import NoAnswer, ask, warn
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


def refusals(site: Site) -> list[str]:
    """Every region in which the account has fewer zones than the network spans, with what to do.

    What AWS does not say is warned of.
    """
    answers = ask({region: _available(region) for region in site.regions})
    warn("AWS did not say which availability zones there are in", answers)
    return [
        _too_few(site.architecture, region, len(answer.names))
        for region, answer in answers.items()
        if not isinstance(answer, NoAnswer) and len(answer.names) < site.architecture.zones_in(region)
    ]


def zones(site: Site, region: str) -> list[pulumi.Output[str]]:
    """The zones that the network of a region spans, as many as the architecture asks for.

    Raises:
        pulumi.RunError: from the outputs, when the account has fewer.
    """
    architecture = site.architecture
    wanted = architecture.zones_in(region)
    ordered = [o.kind for o in instances(architecture) if o.region == region]
    types = sorted({ordered_type(architecture.hardware, kind) for kind in ordered})
    names = _available(region).names
    chosen = partial(_zone, architecture, region)
    if not types:
        return [names.apply(partial(chosen, index)) for index in range(wanted)]
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
    return [best.apply(partial(chosen, index)) for index in range(wanted)]


def _available(region: str) -> pulumi.Output[aws.GetAvailabilityZonesResult]:
    return aws.get_availability_zones_output(
        region=region,
        state="available",
        filters=[aws.GetAvailabilityZonesFilterArgs(name="zone-type", values=["availability-zone"])],
    )


def _zone(architecture: Architecture, region: str, index: int, names: Sequence[str]) -> str:
    if index >= len(names):
        raise pulumi.RunError(_too_few(architecture, region, len(names)))
    return names[index]


def _too_few(architecture: Architecture, region: str, count: int) -> str:
    wanted = architecture.zones_in(region)
    advice = "lower isochrone:zones" if wanted > FEWEST_ZONES else "take another region"
    return f"this account has {count} of the {wanted} availability zones that {region} has to have: {advice}"
