"""Whether regions offer the machines and the SQL that an architecture orders, and what to use instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra import orders, sql_versions
from infra.architecture import SqlTier
from infra.asking import NoAnswer, ask, warn
from infra.hardware import Hardware, ordered_class, ordered_type
from infra.orders import Order
from infra.site import Site
from infra.sql_parameters import is_patch_named, series

COMMON_CLASSES: Final = ("db.t3.medium", "db.m5.large", "db.m6g.large")
"""RDS classes of which every region has one: where it has none of them, what answers is not all of RDS."""

_NO: Final = re.compile(
    r"no RDS [\w ]+ (found matching|match the) criteria|invalid DB instance class|cannot find version",
    re.IGNORECASE,
)
"""How the provider, and RDS itself, say that there is no such class, or of no such version; any other error
is no answer.
"""


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
    """Every EC2 type, RDS class and SQL version that a region does not offer, with what to use instead.

    What AWS does not say is warned of. A server that knows no class of the engine at all, as a stand-in for
    AWS may, has not said anything, and is not asked for the version: moto's answer to that is an error which
    the provider waits out for minutes.
    """
    a = site.architecture
    types = _offers(orders.instances(a), a.hardware, ordered_type)
    classes = _offers(orders.databases(a), a.hardware, ordered_class)
    regions = dict.fromkeys(offer.region for offer in types)
    answers = ask(
        {region: _offerings(region, [o.ordered for o in types if o.region == region]) for region in regions}
        | {offer: _orderable(a.sql, offer.region, [offer.ordered]) for offer in classes}
    )
    denied = [offer for offer in classes if _is_no(answers[offer])]
    known = {offer.region for offer in classes if not isinstance(answers[offer], NoAnswer)}
    known |= _answering(a.sql, denied)
    versions, unsaid = sql_versions.asked(a.sql, [offer.region for offer in classes if offer.region in known])
    # Of a version that there is not, down to its patch level, a region has no class either.
    lacking = {version.region for version in versions} if is_patch_named(a.sql) else set()
    refused = [
        offer
        for offer in types
        if not isinstance(answer := answers[offer.region], NoAnswer)
        and offer.ordered not in answer.instance_types
    ]
    refused += [offer for offer in denied if offer.region in known - lacking]
    silent = {str(o): answers[o.region] for o in types if o not in refused}
    silent |= {str(o): answers[o] for o in classes if o not in refused and o.region not in lacking}
    silent |= {
        str(sql_versions.wanted(a.sql, o.region)): answers[o] for o in classes if o.region not in known
    }
    warn("AWS did not say whether it offers", {**silent, **unsaid})
    return [f"it does not offer {each}" for each in (*refused, *versions)]


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
        engine_version=sql.engine_version if is_patch_named(sql) else None,
        instance_class=classes[0],
        preferred_instance_classes=classes,
        region=region,
    )


def _answering(sql: SqlTier, denied: Sequence[Offer]) -> set[str]:
    """The regions in which RDS denies these classes as RDS: it has others of the engine there."""
    # Each once: a question that is asked twice would be answered once, and fail the program at its end.
    others = {
        (offer.region, other)
        for offer in denied
        for other in (offer.other, *COMMON_CLASSES)
        if other != offer.ordered or is_patch_named(sql)
    }
    any_version = replace(sql, engine_version=series(sql))
    known: Mapping[tuple[str, str], Any] = ask(
        {(region, other): _orderable(any_version, region, [other]) for region, other in sorted(others)}
    )
    return {region for (region, _), answer in known.items() if not isinstance(answer, NoAnswer)}


def _is_no(answer: Any) -> bool:
    return isinstance(answer, NoAnswer) and _NO.search(answer.reason) is not None
