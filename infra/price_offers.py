"""What AWS's price list is asked, and how its answers are read: pure, without a connection.

The form of an answer is that of the AWS Price List Query API (`GetProducts`, format `aws_v1`): a product with
attributes, and its terms; a term has price dimensions, which are tiers by the amount used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from infra.errors import InfraError
from infra.hardware import INSTANCE_TYPES, SQL_CLASSES, Hardware, ordered_class, ordered_type
from infra.regions import REGIONS

_REGION_PREFIX: Final = "(?:[A-Z]{2,4}[0-9]?-)?"
"""What a usage type outside us-east-1 begins with, such as `EU-` or `APN1-`."""

METRICS_OF_AN_INSTANCE: Final = 7
"""What an instance with detailed monitoring is billed: seven metrics. Source: Amazon CloudWatch pricing."""

_HOURS_PER_MONTH: Final = 730

_BOTH: Final[tuple[Hardware, ...]] = ("thesis", "current")


class NoOfferError(InfraError):
    """The price list has no price for what was asked, or several that differ."""


@dataclass(frozen=True)
class Question:
    """What the price list is asked, and where the answer goes.

    Args:
        key: the path of the price in the price file.
        what: what is priced, for people.
        service: the service's code.
        filters: the attributes by which AWS chooses the products.
        usage: the usage type of the right ones, as a pattern, without the region's prefix.
        unit: the unit of the price; empty when there is no other.
        among: attributes that have to be among some values, where a product has them.
        times: what the price is multiplied by.
        tiered: whether all of its tiers are wanted, not the first one that is not free.
        dearest: whether the highest of several prices is wanted; otherwise they have to agree.
    """

    key: tuple[str, ...]
    what: str
    service: str
    filters: Mapping[str, str]
    usage: str
    unit: str
    among: Mapping[str, Collection[str]] = field(default_factory=dict)
    times: float = 1.0
    tiered: bool = False
    dearest: bool = False


Tiers = tuple[tuple[float, float], ...]
"""The amounts from which each price in US dollars counts."""


def read(question: Question, offers: Sequence[Mapping[str, Any]]) -> float | list[list[float]]:
    """The price that a question asks for.

    Args:
        question: the question.
        offers: the products that AWS answered with, as its JSON.

    Returns:
        A price in US dollars, or all tiers: the amount from which on, and the price.

    Raises:
        NoOfferError: when there is none, or they differ.
    """
    found = {tiers for offer in offers if _is_meant(question, offer) for tiers in _tiers(question, offer)}
    found = {tiers for tiers in found if any(usd for _, usd in tiers)}
    if not found:
        raise NoOfferError(question.what)
    if len(found) > 1 and not question.dearest:
        prices = ", ".join(sorted(f"{_paid(tiers):g}" for tiers in found))
        raise NoOfferError(f"{question.what} (AWS answers with several prices: {prices})")
    tiers = max(found, key=_paid)
    if question.tiered:
        return [[begins, _rounded(usd * question.times)] for begins, usd in tiers]
    return _rounded(_paid(tiers) * question.times)


def published(offers: Sequence[Mapping[str, Any]]) -> str:
    """The newest day on which one of the offers was published; empty when none says so."""
    return max((str(offer.get("publicationDate", ""))[:10] for offer in offers), default="")


def _is_meant(question: Question, offer: Mapping[str, Any]) -> bool:
    attributes = offer["product"]["attributes"]
    return bool(re.fullmatch(_REGION_PREFIX + question.usage, attributes.get("usagetype", ""))) and all(
        attributes.get(name) is None or attributes[name] in values for name, values in question.among.items()
    )


def _tiers(question: Question, offer: Mapping[str, Any]) -> Iterator[Tiers]:
    """The tiers of each of an offer's terms on demand, in US dollars and in the question's unit."""
    for term in offer.get("terms", {}).get("OnDemand", {}).values():
        tiers = sorted(
            (float(dimension["beginRange"]), float(dimension["pricePerUnit"]["USD"]))
            for dimension in term["priceDimensions"].values()
            if "USD" in dimension["pricePerUnit"] and question.unit in ("", dimension["unit"])
        )
        if tiers:
            yield tuple(tiers)


def _paid(tiers: Tiers) -> float:
    """The price of the first tier that is not free."""
    return next(usd for _, usd in tiers if usd)


def _rounded(usd: float) -> float:
    return round(usd, 10)


def questions() -> tuple[Question, ...]:
    """All that a price file has: the machines of both hardware settings in all regions, and the rest."""
    return tuple(_questions())


def _questions() -> Iterator[Question]:
    types = sorted({ordered_type(hardware, kind) for kind in INSTANCE_TYPES for hardware in _BOTH})
    classes = sorted({ordered_class(hardware, kind) for kind in SQL_CLASSES for hardware in _BOTH})
    for region in REGIONS:
        yield from (_instance(region, kind) for kind in types)
        yield from (_database(region, kind) for kind in classes)
        yield from _disks(region)
        yield _metrics(region)
        yield _transfer(region)
    yield from _dns()


def _instance(region: str, kind: str) -> Question:
    return Question(
        ("ec2_per_hour", region, kind),
        f"{kind} in {region}",
        "AmazonEC2",
        {
            "regionCode": region,
            "instanceType": kind,
            "operatingSystem": "Linux",
            "preInstalledSw": "NA",
            "tenancy": "Shared",
            "capacitystatus": "Used",
        },
        f"BoxUsage:{re.escape(kind)}",
        "Hrs",
        {"marketoption": ("OnDemand",), "licenseModel": ("No License required",)},
    )


def _database(region: str, kind: str) -> Question:
    return Question(
        ("rds_per_hour", region, kind),
        f"{kind} (MariaDB) in {region}",
        "AmazonRDS",
        {
            "regionCode": region,
            "instanceType": kind,
            "databaseEngine": "MariaDB",
            "deploymentOption": "Single-AZ",
        },
        f"InstanceUsage:{re.escape(kind)}",
        "Hrs",
    )


def _disks(region: str) -> Iterator[Question]:
    def disk(key: str, what: str, family: str, volume: str, usage: str, unit: str) -> Question:
        filters = {"regionCode": region, "productFamily": family, "volumeApiName": volume}
        return Question((key, region), f"{what} in {region}", "AmazonEC2", filters, usage, unit)

    def sql(key: str, what: str, family: str, usage: str, unit: str) -> Question:
        filters = {"regionCode": region, "productFamily": family, "deploymentOption": "Single-AZ"}
        engines = {"databaseEngine": ("Any", "MariaDB")}
        # A storage may be listed for each engine and for any.
        return Question(
            (key, region), f"{what} in {region}", "AmazonRDS", filters, usage, unit, engines, dearest=True
        )

    operation, storage = "System Operation", "Database Storage"
    yield disk("ebs_gb_month", "EBS io1", "Storage", "io1", r"EBS:VolumeUsage\.piops", "GB-Mo")
    yield disk(
        "ebs_iops_month", "EBS io1's operations", operation, "io1", r"EBS:VolumeP-IOPS\.piops", "IOPS-Mo"
    )
    yield disk("gp3_gb_month", "EBS gp3", "Storage", "gp3", r"EBS:VolumeUsage\.gp3", "GB-Mo")
    yield disk(
        "gp3_iops_month", "EBS gp3's operations", operation, "gp3", r"EBS:VolumeP-IOPS\.gp3", "IOPS-Mo"
    )
    yield sql("rds_gb_month", "RDS io1", storage, "RDS:PIOPS-Storage", "GB-Mo")
    yield sql("rds_iops_month", "RDS io1's operations", "Provisioned IOPS", "RDS:PIOPS", "IOPS-Mo")
    yield sql("rds_gp3_gb_month", "RDS gp3", storage, "RDS:GP3-Storage", "GB-Mo")


def _metrics(region: str) -> Question:
    return Question(
        ("detailed_monitoring_instance_month", region),
        f"CloudWatch's metrics in {region}",
        "AmazonCloudWatch",
        {"regionCode": region, "productFamily": "Metric"},
        "CW:MetricMonitorUsage",
        "Metrics",
        times=METRICS_OF_AN_INSTANCE,
    )


def _transfer(region: str) -> Question:
    """To the other seven regions; the dearest of them, where they differ."""
    return Question(
        ("inter_region_gb", region),
        f"data transfer from {region} to the other regions",
        "AWSDataTransfer",
        {"fromRegionCode": region, "transferType": "InterRegion Outbound"},
        "[A-Z]{2,4}[0-9]?-AWS-Out-Bytes",
        "GB",
        {"toRegionCode": REGIONS},
        dearest=True,
    )


def _dns() -> Iterator[Question]:
    def dns(key: str, what: str, family: str, usage: str, unit: str, **more: Any) -> Question:
        return Question((key,), what, "AmazonRoute53", {"productFamily": family}, usage, unit, **more)

    yield dns(
        "route53_per_hour",
        "a hosted zone",
        "DNS Zone",
        "HostedZone",
        "HostedZone",
        times=1 / _HOURS_PER_MONTH,
    )
    check = "DNS Health Check"
    yield dns("health_check_month", "a health check", check, "Health-Check-AWS", "", tiered=True)
    yield dns("health_check_option_month", "a health check's option", check, "Health-Check-Option-AWS", "")
