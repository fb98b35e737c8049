"""Whether the regions of an architecture offer the machines that it orders, and what to use instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra import orders
from infra.architecture import SqlTier
from infra.asking import NoAnswer, ask, warn
from infra.hardware import Hardware, ordered_class, ordered_type
from infra.orders import Order
from infra.site import Site

COMMON_CLASSES: Final = ("db.t3.medium", "db.m5.large", "db.m6g.large")
"""RDS classes of which every region has one: where it has none of them, what answers is not all of RDS."""

_NO: Final = re.compile(
    r"no RDS [\w ]+ (found matching|match the) criteria|invalid DB instance class", re.IGNORECASE
)
"""How the provider, and RDS itself, say that there is no such class; any other error is no answer."""


@dataclass(frozen=True)
class Offer:
    """A type or class that a region has to offer, and what to use instead where it does not."""

    region: str
    ordered: str
    other: str
    other_hardware: Hardware

    def __str__(self) -> str:
        instead = f"{self.other}: isochrone:hardware {self.other_hardware}"
        return f"{self.ordered} in {self.region} (instead use {instead})"


def refusals(site: Site) -> list[str]:
    """Every EC2 type and RDS class that a region does not offer, with what to use instead.

    What AWS does not say is warned of. A server that knows no class of the engine at all, as a stand-in for
    AWS may, has not said anything.
    """
    a = site.architecture
    types = _offers(orders.instances(a), a.hardware, ordered_type)
    classes = _offers(orders.databases(a), a.hardware, ordered_class)
    regions = dict.fromkeys(offer.region for offer in types)
    answers = ask(
        {region: _offerings(region, [o.ordered for o in types if o.region == region]) for region in regions}
        | {offer: _orderable(a.sql, offer.region, [offer.ordered]) for offer in classes}
    )
    refused = [
        offer
        for offer in types
        if not isinstance(answer := answers[offer.region], NoAnswer)
        and offer.ordered not in answer.instance_types
    ]
    refused += _withdrawn(a.sql, [offer for offer in classes if _is_no(answers[offer])])
    silent = {offer: answers[offer.region] for offer in types} | {o: answers[o] for o in classes}
    warn(
        "AWS did not say whether it offers",
        {str(offer): answer for offer, answer in silent.items() if offer not in refused},
    )
    return [f"it does not offer {offer}" for offer in refused]


def _offers(
    ordered: Sequence[Order], hardware: Hardware, named: Callable[[Hardware, str], str]
) -> tuple[Offer, ...]:
    other: Hardware = "thesis" if hardware == "current" else "current"
    return tuple(
        dict.fromkeys(Offer(o.region, named(hardware, o.kind), named(other, o.kind), other) for o in ordered)
    )


def _offerings(region: str, types: Sequence[str]) -> pulumi.Output[aws.ec2.GetInstanceTypeOfferingsResult]:
    return aws.ec2.get_instance_type_offerings_output(
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=types)],
        location_type="region",
        region=region,
    )


def _orderable(sql: SqlTier, region: str, classes: Sequence[str]) -> pulumi.Output[Any]:
    """A class for any version of the engine, unless the stack file names one down to its patch level.

    The preference is what makes the provider choose one where several versions have the class.
    """
    return aws.rds.get_orderable_db_instance_output(
        engine=sql.engine,
        engine_version=sql.engine_version if sql.engine_version.count(".") > 1 else None,
        instance_class=classes[0],
        preferred_instance_classes=classes,
        region=region,
    )


def _withdrawn(sql: SqlTier, denied: Sequence[Offer]) -> Iterator[Offer]:
    """Those of the classes that RDS denies which it denies as RDS: it has others of the engine there."""
    # Each once: a question that is asked twice would be answered once, and fail the program at its end.
    others = {
        (offer.region, other)
        for offer in denied
        for other in (offer.other, *COMMON_CLASSES)
        if other != offer.ordered
    }
    known: Mapping[tuple[str, str], Any] = ask(
        {(region, other): _orderable(sql, region, [other]) for region, other in sorted(others)}
    )
    answering = {region for (region, _), answer in known.items() if not isinstance(answer, NoAnswer)}
    return (offer for offer in denied if offer.region in answering)


def _is_no(answer: Any) -> bool:
    return isinstance(answer, NoAnswer) and _NO.search(answer.reason) is not None
