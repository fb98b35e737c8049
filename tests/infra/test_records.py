"""Which records an architecture declares: users are sent to a region, and there to several addresses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.architecture import Architecture, Routing
from infra.records import AddressRecord, address_records, alias_records
from infra.regions import REGIONS
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]


def site(stack: str = "geo-ii", policy: str | None = None, nodes: tuple[str, ...] = ()) -> Site:
    """The site of a stack with another policy or other node regions."""
    architecture: Architecture = load(stack, ROOT)
    if policy:
        architecture = replace(architecture, routing=Routing(policy=policy))  # type: ignore[arg-type]
    if nodes:
        architecture = replace(architecture, nodes=replace(architecture.nodes, regions=nodes))
    return Site(architecture)


def test_a_region_answers_with_every_address_of_its_pool() -> None:
    assert address_records(site(), "sa-east-1", 2) == (
        AddressRecord("sa-east-1", "sa-east-1.play.market.example", "sa-east-1-1", 60),
        AddressRecord("sa-east-1", "sa-east-1.play.market.example", "sa-east-1-2", 60),
    )


def test_latency_has_a_record_for_each_node_region() -> None:
    records = alias_records(site())
    assert {(r.region, r.target, r.set_identifier) for r in records} == {
        (region, f"{region}.play.market.example", region) for region in REGIONS
    }
    assert {r.name for r in records} == {"play.market.example"}
    assert {r.location for r in records} == {None}


def test_simple_has_one_record_that_needs_no_identifier() -> None:
    (record,) = alias_records(site("baseline"))
    assert (record.target, record.set_identifier) == ("eu-west-1.play.market.example", None)


def test_geolocation_has_a_default_that_leads_home() -> None:
    first, *_ = alias_records(site(policy="geolocation"))
    assert (first.set_identifier, first.region) == ("geo-default", "eu-west-1")


@pytest.mark.parametrize(
    ("identifier", "region"),
    [
        ("geo-NA", "us-east-1"),
        ("geo-NA-US-CA", "us-west-1"),
        ("geo-NA-US-WA", "us-west-2"),
        ("geo-SA", "sa-east-1"),
        ("geo-SA-CO", "us-east-1"),
        ("geo-AS", "ap-southeast-1"),
        ("geo-AS-KR", "ap-northeast-1"),
        ("geo-AS-AE", "eu-west-1"),
        ("geo-OC", "ap-southeast-2"),
    ],
)
def test_geolocation_leads_to_the_nearest_region(identifier: str, region: str) -> None:
    by_identifier = {r.set_identifier: r.region for r in alias_records(site(policy="geolocation"))}
    assert by_identifier[identifier] == region


def test_geolocation_has_no_record_that_says_what_the_larger_location_says() -> None:
    records = {r.set_identifier for r in alias_records(site(policy="geolocation"))}
    assert not records & {"geo-EU", "geo-AF"}
    assert len(alias_records(site(policy="geolocation", nodes=("eu-west-1",)))) == 1


def test_no_two_records_of_the_zone_share_an_identifier() -> None:
    for policy in ("latency", "geolocation"):
        its_site = site(policy=policy)
        found = [r.set_identifier for r in alias_records(its_site)]
        for region in REGIONS:
            found += [r.set_identifier for r in address_records(its_site, region, 3)]
        assert len(set(found)) == len(found)


def test_a_name_has_at_most_the_hundred_geolocation_records_that_route53_takes() -> None:
    assert len(alias_records(site(policy="geolocation"))) <= 100
