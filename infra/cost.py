"""What an architecture costs by the hour while it stands, before any traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from infra.architecture import Architecture, Volume
from infra.prices import Price, PriceList

HOURS_PER_MONTH: Final = 730
"""The hours of a month in cloud prices (8,760 / 12)."""


@dataclass(frozen=True)
class CostItem:
    """One line of the bill: what, where, and US dollars per hour; `note` says how a price was estimated."""

    what: str
    region: str
    usd_per_hour: float
    note: str = ""


@dataclass(frozen=True)
class CostEstimate:
    """The hourly bill: its items, and what its reader has to know."""

    as_of: str
    items: tuple[CostItem, ...]
    notes: tuple[str, ...]

    @property
    def usd_per_hour(self) -> float:
        """The sum of the items."""
        return sum(item.usd_per_hour for item in self.items)


def estimate(architecture: Architecture, prices: PriceList) -> CostEstimate:
    """The hourly cost of an architecture's machines, disks, monitoring and DNS, at each region's own prices.

    Data transfer depends on the load and is not in it; nor is the machine with Prometheus and Grafana, which
    is the same in every architecture. Storage is priced at the thesis's Irish rates.

    Raises:
        UnknownPriceError: when the list has no price for a machine.
    """
    items = tuple(_items(architecture, prices))
    notes = [f"prices of {prices.as_of}, without data transfer and the monitoring machine"]
    notes += sorted({item.note for item in items if item.note})
    if architecture.hardware == "current":
        notes.append(
            "machines of the current generation are priced as the thesis's types that they stand for"
        )
    return CostEstimate(prices.as_of, items, (*notes, *_rds_ratio_note(architecture, prices, items)))


def _items(a: Architecture, prices: PriceList) -> Iterator[CostItem]:
    for region in a.nodes.regions:
        for _ in range(a.nodes.per_region):
            yield from _instance("node", region, a.nodes.instance_type, a.nodes.volume, prices)
    if a.core:
        for what in ("core", "core standby"):
            yield from _instance(what, a.home, a.core.instance_type, a.core.volume, prices)
    if a.redis.instance_type:
        for what in ("redis", *["redis standby"] * a.redis.standbys):
            yield from _instance(what, a.home, a.redis.instance_type, a.redis.volume, prices)
    if a.sql.instance_class and a.sql.volume:
        yield from _sql("sql", a.home, a.sql.instance_class, a.sql.volume, prices)
        if a.sql.replica_class:
            for region in a.sql_placement.source_of:
                yield from _sql("sql replica", region, a.sql.replica_class, a.sql.volume, prices)
    yield CostItem("dns", a.home, prices.route53_per_hour)


def _instance(
    what: str, region: str, kind: str, volume: Volume | None, prices: PriceList
) -> Iterator[CostItem]:
    yield _machine(f"{what} {kind}", region, prices.instance(region, kind))
    if volume:
        yield _disk(what, region, volume, prices)
    yield CostItem(f"{what} monitoring", region, prices.detailed_monitoring_instance_month / HOURS_PER_MONTH)


def _sql(what: str, region: str, kind: str, volume: Volume, prices: PriceList) -> Iterator[CostItem]:
    yield _machine(f"{what} {kind}", region, prices.sql(region, kind))
    yield _disk(what, region, volume, prices)


def _machine(what: str, region: str, price: Price) -> CostItem:
    return CostItem(what, region, price.usd_per_hour, price.note)


def _disk(what: str, region: str, volume: Volume, prices: PriceList) -> CostItem:
    month = volume.size_gib * prices.ebs_gb_month + (volume.iops or 0) * prices.ebs_iops_month
    return CostItem(f"{what} disk", region, month / HOURS_PER_MONTH)


def _rds_ratio_note(a: Architecture, prices: PriceList, items: tuple[CostItem, ...]) -> Iterator[str]:
    """Ireland's db.r3.4xlarge is priced at 3.05 times its db.r3.2xlarge; elsewhere the ratio is 2.

    Source: the thesis's prices against those of Oregon and Tokyo. It flatters geo-ii, so both are shown.
    """
    if a.sql.instance_class != "db.r3.4xlarge":
        return
    listed = prices.sql(a.home, "db.r3.4xlarge").usd_per_hour
    consistent = 2 * prices.sql(a.home, "db.r3.2xlarge").usd_per_hour
    if abs(listed - consistent) > 0.01 * consistent:
        total = sum(item.usd_per_hour for item in items) - listed + consistent
        yield (
            f"db.r3.4xlarge is listed at {listed / consistent * 2:.2f} times db.r3.2xlarge in {a.home} and at"
            f" twice elsewhere: at twice the total is {total:.3f} $/h"
        )
