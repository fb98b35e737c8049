"""A dated price list, and what it does not hold but lets one estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from infra.errors import InfraError
from infra.hardware import INSTANCE_TYPES

_REFERENCE_REGION = "eu-west-1"
_REFERENCE_TYPE = "m3.xlarge"


class UnknownPriceError(InfraError):
    """The price list has no such price and nothing to estimate it from."""


@dataclass(frozen=True)
class Price:
    """An hourly price in US dollars; `note` says how it was estimated, when it was."""

    usd_per_hour: float
    note: str = ""


@dataclass(frozen=True)
class PriceList:
    """Prices as of a date: machines by region and type per hour, the rest per month."""

    as_of: str
    source: str
    ec2_per_hour: Mapping[str, Mapping[str, float]]
    rds_per_hour: Mapping[str, Mapping[str, float]]
    ebs_gb_month: float
    ebs_iops_month: float
    detailed_monitoring_instance_month: float
    route53_per_hour: float

    def instance(self, region: str, kind: str) -> Price:
        """An EC2 instance's price; a type without one is priced per core from m3.xlarge, and says so.

        Raises:
            UnknownPriceError: when neither is in the list for the region.
        """
        prices = self.ec2_per_hour.get(region, {})
        if kind in prices:
            return Price(prices[kind])
        if kind not in INSTANCE_TYPES or _REFERENCE_TYPE not in prices:
            raise UnknownPriceError(f"the prices of {self.as_of} have none for {kind} in {region}")
        share = INSTANCE_TYPES[kind].cores / INSTANCE_TYPES[_REFERENCE_TYPE].cores
        return Price(prices[_REFERENCE_TYPE] * share, f"{kind} estimated as {share:g} of {_REFERENCE_TYPE}")

    def sql(self, region: str, kind: str) -> Price:
        """An RDS instance's price; where the region has none, Ireland's times the ratio of m3.xlarge prices.

        Raises:
            UnknownPriceError: when Ireland has none either.
        """
        known = self.rds_per_hour.get(region, {})
        if kind in known:
            return Price(known[kind])
        reference = self.rds_per_hour.get(_REFERENCE_REGION, {})
        try:
            ratio = (
                self.ec2_per_hour[region][_REFERENCE_TYPE]
                / self.ec2_per_hour[_REFERENCE_REGION][_REFERENCE_TYPE]
            )
            price = reference[kind] * ratio
        except KeyError:
            raise UnknownPriceError(f"the prices of {self.as_of} have none for {kind} in {region}") from None
        return Price(
            price, f"{kind} in {region} estimated from {_REFERENCE_REGION}'s price times {ratio:.3f}"
        )


def prices_2015() -> PriceList:
    """The prices of November 2015, the ones that the thesis's bill can be compared with."""
    data = json.loads(resources.files("infra").joinpath("data/prices-2015.json").read_text(encoding="utf-8"))
    rds = {
        region: {kind: price for kind, price in prices.items() if kind != "note"}
        for region, prices in data["rds_per_hour"].items()
    }
    return PriceList(
        as_of=data["as_of"],
        source=data["source"],
        ec2_per_hour=data["ec2_per_hour"],
        rds_per_hour=rds,
        ebs_gb_month=data["ebs_gb_month"],
        ebs_iops_month=data["ebs_iops_month"],
        detailed_monitoring_instance_month=data["detailed_monitoring_instance_month"],
        route53_per_hour=data["route53_per_hour"],
    )
