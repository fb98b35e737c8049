"""Dated price lists, and what that of 2015 does not hold but lets one estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from infra.errors import InfraError
from infra.hardware import INSTANCE_TYPES
from infra.volumes import GP3_LEAST_IOPS

PRICE_FILE: Final = "prices.json"
"""The present-day prices beside the stack files, as `isochrone prices refresh` writes them."""

REFRESH: Final = "isochrone prices refresh"

DiskKind = Literal["io1", "gp3", "sql io1", "sql gp3"]
"""A machine's disk or that of a SQL server, with operations per second of its own (io1) or without (gp3)."""

DISK_KEYS: Final[Mapping[DiskKind, str]] = {
    "io1": "ebs",
    "gp3": "gp3",
    "sql io1": "rds",
    "sql gp3": "rds_gp3",
}
"""What the keys of each kind of disk begin with in a price file; a kind without is priced as io1."""

_REFERENCE_REGION = "eu-west-1"
_REFERENCE_TYPE = "m3.xlarge"


class UnknownPriceError(InfraError):
    """The price list has no such price and nothing to estimate it from."""


class PriceFileError(InfraError):
    """A price file cannot be read."""


@dataclass(frozen=True)
class Price:
    """An hourly price in US dollars; `note` says how it was estimated, when it was."""

    usd_per_hour: float
    note: str = ""


@dataclass(frozen=True)
class Regional:
    """A price in US dollars that may differ by region; `default` is that of a region without its own."""

    by_region: Mapping[str, float]
    default: float | None = None

    def at(self, region: str, what: str) -> float:
        """The price in a region.

        Args:
            region: the region.
            what: what is priced, for the error.

        Raises:
            UnknownPriceError: when there is none.
        """
        price = self.by_region.get(region, self.default)
        if price is None:
            raise UnknownPriceError(f"there is no price for {what} in {region}: {REFRESH}")
        return price


@dataclass(frozen=True)
class DiskPrice:
    """What a disk costs a month: each GiB, and each operation per second beyond those included."""

    gb_month: Regional
    iops_month: Regional
    iops_included: int = 0


@dataclass(frozen=True)
class PriceList:
    """Prices as of a date in US dollars: machines by region and type per hour, the rest per month.

    Args:
        as_of: the date.
        source: where they come from.
        ec2_per_hour: EC2 instances, by region and type.
        rds_per_hour: RDS instances, by region and class.
        disks: disks, by kind.
        detailed_monitoring_instance_month: the metrics of an instance.
        route53_per_hour: the hosted zone; in 2015 all of DNS, as the thesis was billed.
        health_check_month: the tiers of a health check: the number from which one costs how much.
        health_check_option_month: each optional feature of a health check.
        inter_region_gb: a GB that leaves a region for another.
        as_ordered: whether the machines are those that are ordered, not those that a stack file names; then
            each has its own price, and none is estimated.
    """

    as_of: str
    source: str
    ec2_per_hour: Mapping[str, Mapping[str, float]]
    rds_per_hour: Mapping[str, Mapping[str, float]]
    disks: Mapping[DiskKind, DiskPrice]
    detailed_monitoring_instance_month: Regional
    route53_per_hour: float
    health_check_month: tuple[tuple[float, float], ...] = ()
    health_check_option_month: float = 0.0
    inter_region_gb: Regional = Regional({})
    as_ordered: bool = False

    def instance(self, region: str, kind: str) -> Price:
        """An EC2 instance's price; in 2015's list one without is priced per core from m3.xlarge, and says so.

        Raises:
            UnknownPriceError: when neither is in the list for the region.
        """
        prices = self.ec2_per_hour.get(region, {})
        if kind in prices:
            return Price(prices[kind])
        if self.as_ordered or kind not in INSTANCE_TYPES or _REFERENCE_TYPE not in prices:
            raise self._unknown(region, kind)
        share = INSTANCE_TYPES[kind].cores / INSTANCE_TYPES[_REFERENCE_TYPE].cores
        return Price(prices[_REFERENCE_TYPE] * share, f"{kind} estimated as {share:g} of {_REFERENCE_TYPE}")

    def sql(self, region: str, kind: str) -> Price:
        """An RDS instance's price; where 2015's list has none, Ireland's times the ratio of m3.xlarge prices.

        Raises:
            UnknownPriceError: when Ireland has none either.
        """
        known = self.rds_per_hour.get(region, {})
        if kind in known:
            return Price(known[kind])
        if self.as_ordered:
            raise self._unknown(region, kind)
        reference = self.rds_per_hour.get(_REFERENCE_REGION, {})
        try:
            ratio = (
                self.ec2_per_hour[region][_REFERENCE_TYPE]
                / self.ec2_per_hour[_REFERENCE_REGION][_REFERENCE_TYPE]
            )
            price = reference[kind] * ratio
        except KeyError:
            raise self._unknown(region, kind) from None
        return Price(
            price, f"{kind} in {region} estimated from {_REFERENCE_REGION}'s price times {ratio:.3f}"
        )

    def disk_month(self, region: str, kind: DiskKind, size_gib: int, iops: int | None) -> float:
        """What a disk costs a month.

        Args:
            region: where it is.
            kind: its kind.
            size_gib: its size.
            iops: its operations per second, when they are provisioned.

        Raises:
            UnknownPriceError: when it has no price there.
        """
        price = self.disks[kind]
        month = size_gib * price.gb_month.at(region, f"a {kind} disk")
        if extra := max(0, (iops or 0) - price.iops_included):
            month += extra * price.iops_month.at(region, f"the operations of a {kind} disk")
        return month

    def health_checks_month(self, count: int, options: int) -> float:
        """What health checks cost a month, each with a number of optional features."""
        tiers = pairwise([*self.health_check_month, (float("inf"), 0.0)])
        basic = sum(max(0.0, min(count, ends) - begins) * usd for (begins, usd), (ends, _) in tiers)
        return basic + count * options * self.health_check_option_month

    def _unknown(self, region: str, kind: str) -> UnknownPriceError:
        return UnknownPriceError(f"the prices of {self.as_of} have none for {kind} in {region}")


def prices_2015() -> PriceList:
    """The prices of November 2015, the ones that the thesis's bill can be compared with."""
    text = resources.files("infra").joinpath("data/prices-2015.json").read_text(encoding="utf-8")
    return price_list(json.loads(text))


def present_prices(root: Path) -> PriceList | None:
    """The present-day prices beside the stack files in `root`; None when there are none.

    Raises:
        PriceFileError: when the file is there but is no price file.
    """
    path = root / PRICE_FILE
    try:
        return price_list(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except KeyError as error:
        raise PriceFileError(f"{path} has no {error}: write it anew by `{REFRESH}`") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PriceFileError(f"{path} is no price file ({error}): write it anew by `{REFRESH}`") from None


def price_list(data: Mapping[str, Any]) -> PriceList:
    """The price list that a price file's JSON holds.

    Where a price may differ by region, the file has one number for all regions, or an object by region.

    Raises:
        KeyError: when a price is missing that every list has.
        ValueError, TypeError or AttributeError: when it is no such JSON.
    """
    return PriceList(
        as_of=data["as_of"],
        source=data["source"],
        ec2_per_hour=_machines(data["ec2_per_hour"]),
        rds_per_hour=_machines(data["rds_per_hour"]),
        disks={kind: _disk(data, kind) for kind in DISK_KEYS},
        detailed_monitoring_instance_month=_regional(data["detailed_monitoring_instance_month"]),
        route53_per_hour=float(data["route53_per_hour"]),
        health_check_month=tuple((float(a), float(b)) for a, b in data.get("health_check_month", ())),
        health_check_option_month=float(data.get("health_check_option_month", 0)),
        inter_region_gb=_regional(data["inter_region_gb"]),
        as_ordered=bool(data.get("as_ordered", False)),
    )


def _machines(found: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, float]]:
    return {
        region: {kind: float(price) for kind, price in prices.items() if kind != "note"}
        for region, prices in found.items()
    }


def _regional(found: Any) -> Regional:
    if isinstance(found, int | float):
        return Regional({}, float(found))
    prices = {region: float(price) for region, price in found.items() if region != "note"}
    return Regional(prices, prices.pop("default", None))


def _disk(data: Mapping[str, Any], kind: DiskKind) -> DiskPrice:
    key = DISK_KEYS[kind]
    own = f"{key}_gb_month" in data
    key = key if own else DISK_KEYS["io1"]
    return DiskPrice(
        _regional(data[f"{key}_gb_month"]),
        _regional(data.get(f"{key}_iops_month", {})),
        GP3_LEAST_IOPS if own and kind == "gp3" else 0,
    )
