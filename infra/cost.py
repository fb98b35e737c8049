"""What an architecture costs by the hour while it stands, before any traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from infra.architecture import Architecture, Volume
from infra.capacity import pool_size
from infra.hardware import Hardware, ordered_class, ordered_type
from infra.prices import DiskKind, PriceList
from infra.volumes import root_volume_kind

HOURS_PER_MONTH: Final = 730
"""The hours of a month in cloud prices (8,760 / 12)."""

HEALTH_CHECK_OPTIONS: Final = 2
"""The optional features of every health check that are paid for: HTTPS, and asking every 10 s.

Source: Amazon Route 53 pricing, "Health checks".
"""


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

    The machines of a load fleet are in it. Data transfer depends on the load and is not in it; nor is the
    machine with Prometheus, which is the same in every architecture. A present-day list prices
    what is ordered. That of 2015 prices what the stack file names, and storage at the thesis's Irish rates.

    Raises:
        UnknownPriceError: when the list has no price for something.
    """
    items = tuple(_items(architecture, prices))
    notes = [f"prices of {prices.as_of}, without {_NOT_PRICED[prices.as_ordered]}"]
    notes += sorted({item.note for item in items if item.note})
    if architecture.hardware == "current" and not prices.as_ordered:
        notes.append(
            "machines of the current generation are priced as the thesis's types that they stand for"
        )
    if architecture.sql.engine == "mysql" and architecture.sql.instance_class and prices.as_ordered:
        notes.append("MySQL is priced as MariaDB")
    return CostEstimate(prices.as_of, items, (*notes, *_rds_ratio_note(architecture, prices, items)))


_NOT_PRICED: Final = {
    False: "data transfer and the monitoring machine",
    True: "data transfer, public addresses, interface endpoints, keys, secrets, alarms, logs, backups,"
    " the root disks of Redis's machines and the monitoring machine",
}
"""What an estimate leaves out, by whether the list prices what is ordered."""


def _items(a: Architecture, prices: PriceList) -> Iterator[CostItem]:
    bill = _Bill(a.hardware, prices)
    for region in a.nodes.regions:
        for _ in range(a.nodes.per_region):
            yield from bill.machine("node", region, a.nodes.instance_type, a.nodes.volume)
    if a.core:
        for what in ("core", "core standby"):
            yield from bill.machine(what, a.home, a.core.instance_type, a.core.volume)
    if a.redis.instance_type:
        for what in ("redis", *["redis standby"] * a.redis.standbys):
            disk: DiskKind = "io1" if a.redis.volume and a.redis.volume.iops else "gp3"
            yield from bill.fixed_machine(what, a.home, a.redis.instance_type, a.redis.volume, disk)
    if a.sql.instance_class and a.sql.volume:
        yield from bill.sql("sql", a.home, a.sql.instance_class, a.sql.volume)
        if a.sql.replica_class:
            for region in a.sql_placement.source_of:
                yield from bill.sql("sql replica", region, a.sql.replica_class, a.sql.volume)
    yield from _load(a, bill)
    yield CostItem("dns", a.home, prices.route53_per_hour)
    checks = len(a.nodes.regions) * pool_size(a)
    if month := prices.health_checks_month(checks, HEALTH_CHECK_OPTIONS):
        yield CostItem("health checks", a.home, month / HOURS_PER_MONTH)


def _load(a: Architecture, bill: _Bill) -> Iterator[CostItem]:
    if a.load:
        for region in a.load.regions:
            for _ in range(a.load.per_region):
                yield from bill.machine("load", region, a.load.instance_type, a.load.volume)


@dataclass(frozen=True)
class _Bill:
    """The items of a machine or a SQL server, as its architecture orders it."""

    hardware: Hardware
    prices: PriceList

    def machine(self, what: str, region: str, kind: str, volume: Volume) -> Iterator[CostItem]:
        """A machine that has its metrics every minute, and its root volume."""
        yield from self.fixed_machine(what, region, kind, volume, root_volume_kind(volume.iops))
        month = self.prices.detailed_monitoring_instance_month.at(region, "detailed monitoring")
        yield CostItem(f"{what} monitoring", region, month / HOURS_PER_MONTH)

    def fixed_machine(
        self, what: str, region: str, kind: str, volume: Volume | None, disk: DiskKind
    ) -> Iterator[CostItem]:
        """A machine of its own, whose metrics AWS takes every five minutes for nothing, and its disk."""
        kind = ordered_type(self.hardware, kind) if self.prices.as_ordered else kind
        price = self.prices.instance(region, kind)
        yield CostItem(f"{what} {kind}", region, price.usd_per_hour, price.note)
        if volume:
            yield self._disk(what, region, disk, volume)

    def sql(self, what: str, region: str, kind: str, volume: Volume) -> Iterator[CostItem]:
        """A SQL server and its disk."""
        kind = ordered_class(self.hardware, kind) if self.prices.as_ordered else kind
        price = self.prices.sql(region, kind)
        yield CostItem(f"{what} {kind}", region, price.usd_per_hour, price.note)
        yield self._disk(what, region, "sql io1" if volume.iops else "sql gp3", volume)

    def _disk(self, what: str, region: str, kind: DiskKind, volume: Volume) -> CostItem:
        month = self.prices.disk_month(region, kind, volume.size_gib, volume.iops)
        return CostItem(f"{what} disk", region, month / HOURS_PER_MONTH)


def _rds_ratio_note(a: Architecture, prices: PriceList, items: tuple[CostItem, ...]) -> Iterator[str]:
    """Ireland's db.r3.4xlarge is priced at 3.05 times its db.r3.2xlarge; elsewhere the ratio is 2.

    Source: the thesis's prices against those of Oregon and Tokyo. It flatters geo-ii, so both are shown.
    """
    if a.sql.instance_class != "db.r3.4xlarge" or prices.as_ordered:
        return
    listed = prices.sql(a.home, "db.r3.4xlarge").usd_per_hour
    consistent = 2 * prices.sql(a.home, "db.r3.2xlarge").usd_per_hour
    if abs(listed - consistent) > 0.01 * consistent:
        total = sum(item.usd_per_hour for item in items) - listed + consistent
        yield (
            f"db.r3.4xlarge is listed at {listed / consistent * 2:.2f} times db.r3.2xlarge in {a.home} and at"
            f" twice elsewhere: at twice the total is {total:.3f} $/h"
        )
