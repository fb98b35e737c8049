"""The right questions are asked of AWS's price list, and of its answers only what is meant is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.hardware import CURRENT_SQL_CLASSES, CURRENT_TYPES, INSTANCE_TYPES, THESIS_SQL_CLASSES
from infra.price_offers import NoOfferError, read
from infra.regions import REGIONS
from tests.infra.price_answers import ALL, linux, offer


@pytest.mark.parametrize("region", REGIONS)
def test_every_machine_of_both_settings_is_asked_for_in_every_region(region: str) -> None:
    instances = {key[2] for key in ALL if key[:2] == ("ec2_per_hour", region)}
    databases = {key[2] for key in ALL if key[:2] == ("rds_per_hour", region)}
    assert instances == {*INSTANCE_TYPES, *CURRENT_TYPES.values()}
    assert databases == {*THESIS_SQL_CLASSES.values(), *CURRENT_SQL_CLASSES.values()}


def test_a_region_is_asked_for_by_its_code() -> None:
    for key, question in ALL.items():
        named = question.filters.get("regionCode") or question.filters.get("fromRegionCode")
        assert named == next((part for part in key if part in REGIONS), None)


def test_a_machine_has_its_price_on_demand() -> None:
    question = ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"]
    assert question.filters == {
        "regionCode": "eu-west-1",
        "instanceType": "m6i.xlarge",
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
    }
    assert read(question, [linux("EU-BoxUsage:m6i.xlarge", "0.2140000000")]) == 0.214


@pytest.mark.parametrize(
    "other",
    [
        linux("EU-UnusedBox:m6i.xlarge", "0.1"),
        linux("EU-BoxUsage:m6i.xlarge", "0.1", marketoption="CapacityBlock"),
        linux("EU-BoxUsage:m6i.xlarge", "0.1", licenseModel="Bring your own license"),
        linux("EU-BoxUsage:m6i.xlarge", "0.0000000000"),
        offer("EU-BoxUsage:m6i.xlarge", "Quantity", ("0", "0.1")),
        {**linux("EU-BoxUsage:m6i.xlarge", "0.1"), "terms": {"Reserved": {}}},
    ],
    ids=["reserved capacity", "block", "license", "free", "unit", "not on demand"],
)
def test_what_is_not_meant_is_not_taken(other: dict[str, Any]) -> None:
    question = ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"]
    with pytest.raises(NoOfferError, match=r"m6i\.xlarge in eu-west-1"):
        read(question, [other])
    assert read(question, [other, linux("EU-BoxUsage:m6i.xlarge", "0.2140000000")]) == 0.214


def test_other_currencies_are_not_dollars() -> None:
    found = linux("EU-BoxUsage:m6i.xlarge", "0.1")
    text = json.dumps(found).replace('"USD"', '"CNY"')
    with pytest.raises(NoOfferError):
        read(ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"], [json.loads(text)])


def test_two_prices_for_one_machine_are_refused() -> None:
    found = [linux("EU-BoxUsage:m6i.xlarge", price) for price in ("0.2", "0.3")]
    with pytest.raises(NoOfferError, match=r"m6i\.xlarge in eu-west-1 \(.* several prices: 0\.2, 0\.3\)"):
        read(ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"], found)


@pytest.mark.parametrize("usage", ["InstanceUsage:db.r6i.4xlarge", "USW2-InstanceUsage:db.r6i.4xlarge"])
def test_a_database_is_mariadb_in_one_zone(usage: str) -> None:
    question = ALL["rds_per_hour", "us-west-2", "db.r6i.4xlarge"]
    assert question.filters["databaseEngine"] == "MariaDB"
    assert question.filters["deploymentOption"] == "Single-AZ"
    outpost = offer("USW2-Outpost-InstanceUsage:db.r6i.4xlarge", "Hrs", ("0", "9"))
    assert read(question, [outpost, offer(usage, "Hrs", ("0", "2.0000000000"))]) == 2.0


@pytest.mark.parametrize(
    ("key", "usage", "unit"),
    [
        ("ebs_gb_month", "EU-EBS:VolumeUsage.piops", "GB-Mo"),
        ("ebs_iops_month", "EU-EBS:VolumeP-IOPS.piops", "IOPS-Mo"),
        ("gp3_gb_month", "EU-EBS:VolumeUsage.gp3", "GB-Mo"),
        ("gp3_iops_month", "EU-EBS:VolumeP-IOPS.gp3", "IOPS-Mo"),
        ("rds_gb_month", "EU-RDS:PIOPS-Storage", "GB-Mo"),
        ("rds_iops_month", "EU-RDS:PIOPS", "IOPS-Mo"),
        ("rds_gp3_gb_month", "EU-RDS:GP3-Storage", "GB-Mo"),
    ],
)
def test_each_kind_of_disk_has_its_own_price(key: str, usage: str, unit: str) -> None:
    others = [offer(f"{usage}-IO2", unit, ("0", "9")), offer(f"EU-Multi-AZ-{usage[3:]}", unit, ("0", "9"))]
    assert read(ALL[key, "eu-west-1"], [*others, offer(usage, unit, ("0", "0.1380000000"))]) == 0.138


def test_a_database_s_storage_that_is_listed_for_several_engines_is_priced_once() -> None:
    found = [
        offer("EU-RDS:GP3-Storage", "GB-Mo", ("0", price), databaseEngine=engine)
        for engine, price in (("Any", "0.127"), ("MariaDB", "0.127"), ("SQL Server", "0.2"))
    ]
    assert read(ALL["rds_gp3_gb_month", "eu-west-1"], found) == 0.127


def test_detailed_monitoring_is_seven_metrics_at_the_first_price() -> None:
    tiers = (("10000", "0.10"), ("0", "0.3000000000"), ("250000", "0.05"))
    found = [offer("EU-CW:MetricMonitorUsage", "Metrics", *tiers)]
    assert read(ALL["detailed_monitoring_instance_month", "eu-west-1"], found) == 2.1


def test_data_transfer_is_that_to_the_dearest_of_the_regions() -> None:
    def to(region: str, usage: str, price: str) -> dict[str, Any]:
        return offer(usage, "GB", ("0", price), toRegionCode=region, transferType="InterRegion Outbound")

    found = [
        to("us-west-2", "USE1-USW2-AWS-Out-Bytes", "0.02"),
        to("sa-east-1", "USE1-SAE1-AWS-Out-Bytes", "0.03"),
        to("af-south-1", "USE1-AFS1-AWS-Out-Bytes", "0.147"),
        to("us-west-2", "USE1-USW2-AWS-In-Bytes", "0.9"),
    ]
    assert read(ALL["inter_region_gb", "us-east-1"], found) == 0.03


def test_dns_is_a_zone_and_health_checks_of_which_some_are_free() -> None:
    zone = [offer("HostedZone", "HostedZone", ("25", "0.1"), ("0", "0.5"))]
    assert read(ALL[("route53_per_hour",)], zone) == pytest.approx(0.5 / 730)
    check = [
        offer("Health-Check-AWS", "Mo", ("50", "0.5"), ("0", "0.0")),
        offer("Health-Check-Option-AWS", "Mo", ("0", "1.0")),
        offer("Health-Check-Non-AWS", "Mo", ("0", "0.75")),
    ]
    assert read(ALL[("health_check_month",)], check) == [[0, 0.0], [50, 0.5]]
    assert read(ALL[("health_check_option_month",)], check) == 1.0
