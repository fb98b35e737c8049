"""The zone and its records: health-checked addresses in each region, and the way of a user to a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import architecture as declared
from infra.architecture import Architecture
from infra.dns import Routing, RoutingArgs, Zone, ZoneArgs
from infra.regions import REGIONS
from infra.site import Site
from infra.stackfile import load
from tests.infra.recorded import Registered, of_type, registered

ROOT = Path(__file__).parents[2]
PLAY = "play.market.example"


def zone_of(architecture: Architecture) -> tuple[Mapping[str, Registered], list[Any]]:
    """The zones that are made for an architecture, and the zone's id and name servers as others get them."""
    told: list[Any] = []

    def program() -> None:
        zone = Zone("zone", ZoneArgs(Site(architecture)))
        pulumi.Output.all(zone.zone_id, zone.name_servers).apply(told.extend)

    found = registered(program)
    return {r.name: r for r in found if r.type == "aws:route53/zone:Zone"}, told


def records_of(stack: str, **routing: Any) -> tuple[Mapping[str, Registered], Mapping[str, Registered]]:
    """The records and the health checks of a stack whose regions have two addresses each."""
    architecture = load(stack, ROOT)
    if routing:
        architecture = replace(architecture, routing=declared.Routing(**routing))
    addresses = {
        region: [f"198.51.100.{2 * number}", f"198.51.100.{2 * number + 1}"]
        for number, region in enumerate(architecture.nodes.regions)
    }
    found = registered(lambda: Routing("routing", RoutingArgs(Site(architecture), addresses, "Z0123456789")))
    return of_type(found, "Record"), of_type(found, "HealthCheck")


def aliases(records: Mapping[str, Registered]) -> list[Mapping[str, Any]]:
    return [record.inputs for record in records.values() if "aliases" in record.inputs]


def test_a_stack_has_a_zone_of_its_own_for_its_domain() -> None:
    zones, told = zone_of(load("geo-i", ROOT))
    assert zones["zone-zone"].inputs["name"] == "market.example"
    assert zones["zone-zone"].inputs["tags"]["isochrone:stack"] == "geo-i"
    assert told == ["ZZONE-ZONE", ["ns-1.example", "ns-2.example"]]


@pytest.mark.parametrize("protect", [True, False])
def test_a_zone_with_what_others_wrote_into_it_is_deleted_only_when_the_stack_is_not_protected(
    protect: bool,
) -> None:
    zones, _ = zone_of(replace(load("geo-i", ROOT), protect=protect))
    assert zones["zone-zone"].protect is protect
    assert zones["zone-zone"].inputs["forceDestroy"] is not protect


def test_an_existing_zone_is_used_and_none_made() -> None:
    architecture = load("geo-i", ROOT)
    assert zone_of(replace(architecture, routing=replace(architecture.routing, zone_id="Z12345678"))) == (
        {},
        ["Z12345678", []],
    )


def test_every_address_is_one_answer_of_its_regions_name() -> None:
    records, checks = records_of("geo-ii")
    for number, region in enumerate(load("geo-ii", ROOT).nodes.regions):
        for index in (1, 2):
            inputs = records[f"routing-{region}-{index}"].inputs
            assert inputs["name"] == f"{region}.{PLAY}"
            assert inputs["records"] == [f"198.51.100.{2 * number + index - 1}"]
            assert (inputs["type"], inputs["ttl"], inputs["zoneId"]) == ("A", 60, "Z0123456789")
            assert inputs["setIdentifier"] == f"{region}-{index}"
            assert inputs["multivalueAnswerRoutingPolicy"] is True
            assert inputs["healthCheckId"] == f"routing-{region}-{index}.id"
    assert len(checks) == 16


def test_an_address_is_healthy_when_the_service_says_so_over_tls() -> None:
    _, checks = records_of("geo-ii")
    inputs = dict(checks["routing-sa-east-1-2"].inputs)
    assert inputs.pop("tags")["Name"] == "isochrone-geo-ii-node-sa-east-1-2"
    assert inputs == {
        "type": "HTTPS",
        "ipAddress": "198.51.100.15",
        "fqdn": f"sa-east-1.{PLAY}",
        "port": 443,
        "resourcePath": "/healthz",
        "enableSni": True,
        "requestInterval": 10,
        "failureThreshold": 3,
    }


def test_latency_leads_to_each_region_by_the_health_of_its_addresses() -> None:
    records, _ = records_of("geo-ii")
    assert {record["setIdentifier"] for record in aliases(records)} == set(REGIONS)
    for record in aliases(records):
        region = record["setIdentifier"]
        assert record["name"] == PLAY
        assert record["latencyRoutingPolicies"] == [{"region": region}]
        assert record["aliases"] == [
            {"name": f"{region}.{PLAY}", "zoneId": "Z0123456789", "evaluateTargetHealth": True}
        ]


def test_an_alias_is_made_after_what_it_names() -> None:
    records, _ = records_of("geo-ii")
    assert {"routing-us-west-1-1", "routing-us-west-1-2"} <= set(records["routing-play-us-west-1"].depends_on)


def test_simple_leads_everyone_to_the_one_region() -> None:
    records, _ = records_of("baseline")
    (record,) = aliases(records)
    assert record["aliases"][0]["name"] == f"eu-west-1.{PLAY}"
    assert set(record) == {"name", "type", "zoneId", "aliases"}


def test_geolocation_leads_continents_countries_and_states_and_has_a_default() -> None:
    records, _ = records_of("geo-ii", policy="geolocation")
    by_identifier = {record["setIdentifier"]: record for record in aliases(records)}
    expected = {
        "geo-default": ({"country": "*"}, "eu-west-1"),
        "geo-NA": ({"continent": "NA"}, "us-east-1"),
        "geo-AS-JP": ({"country": "JP"}, "ap-northeast-1"),
        "geo-NA-US-OR": ({"country": "US", "subdivision": "OR"}, "us-west-2"),
    }
    for identifier, (location, region) in expected.items():
        record = by_identifier[identifier]
        assert record["geolocationRoutingPolicies"] == [location]
        assert record["aliases"][0]["name"] == f"{region}.{PLAY}"
        assert "latencyRoutingPolicies" not in record


def test_no_name_ends_in_a_dot_which_aws_would_answer_differently() -> None:
    records, checks = records_of("geo-ii")
    names = [record.inputs["name"] for record in records.values()]
    names += [check.inputs["fqdn"] for check in checks.values()]
    assert not [name for name in names if name.endswith(".") or name != name.lower()]
