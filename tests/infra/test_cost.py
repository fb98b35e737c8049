"""The hourly bill follows from the stack file and the dated prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.architecture import LoadFleet
from infra.cost import estimate
from infra.prices import UnknownPriceError, prices_2015
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
HOME = "eu-west-1"


def cost(stack: str) -> float:
    return estimate(load(stack, ROOT), prices_2015()).usd_per_hour


def test_the_baseline_is_its_machine_its_disk_monitoring_and_dns() -> None:
    disk_and_monitoring = (140 * 0.138 + 4000 * 0.072 + 3.5) / 730
    assert cost("baseline") == pytest.approx(1.912 + disk_and_monitoring + 0.014)


@pytest.mark.parametrize(("stack", "dollars"), [("baseline", 2.35), ("geo-i", 9.71), ("geo-ii", 11.84)])
def test_the_totals_are_those_that_the_documentation_names(stack: str, dollars: float) -> None:
    assert round(cost(stack), 2) == dollars


def test_distribution_costs_more_and_replicas_cost_more_still() -> None:
    assert cost("baseline") < cost("geo-i") < cost("geo-ii")


def test_geo_ii_pays_for_five_replicas_and_a_node_in_each_region() -> None:
    items = estimate(load("geo-ii", ROOT), prices_2015()).items
    assert sum(item.what == "sql replica db.m3.medium" for item in items) == 5
    nodes = {item.region: item.usd_per_hour for item in items if item.what == "node m3.2xlarge"}
    assert len(nodes) == 8
    assert nodes["ap-northeast-1"] == 0.810


def test_every_node_of_a_region_is_paid_for() -> None:
    a = load("geo-i", ROOT)
    both = estimate(replace(a, nodes=replace(a.nodes, per_region=2)), prices_2015())
    assert [item.what for item in both.items].count("node m3.xlarge") == 16


def test_a_standby_of_redis_is_paid_for_like_the_master() -> None:
    a = load("geo-i", ROOT)
    items = estimate(replace(a, redis=replace(a.redis, standbys=2)), prices_2015()).items
    machines = [item.what for item in items if item.what.endswith("m2.xlarge")]
    assert machines == ["redis m2.xlarge", "redis standby m2.xlarge", "redis standby m2.xlarge"]


def test_every_load_machine_is_paid_for_in_its_region() -> None:
    a = load("baseline", ROOT)
    fleet = replace(a, load=LoadFleet(instance_type="m3.xlarge", per_region=2, regions=("sa-east-1", HOME)))
    items = [item for item in estimate(fleet, prices_2015()).items if item.what == "load m3.xlarge"]
    assert [item.region for item in items] == ["sa-east-1", "sa-east-1", HOME, HOME]
    assert estimate(a, prices_2015()).usd_per_hour < estimate(fleet, prices_2015()).usd_per_hour


def test_the_estimate_says_what_is_not_in_it() -> None:
    notes = estimate(load("geo-i", ROOT), prices_2015()).notes
    assert "prices of 2015-11-09, without data transfer and the monitoring machine" in notes


def test_current_hardware_has_the_price_of_what_it_stands_for_and_says_so_once() -> None:
    a = load("geo-ii", ROOT)
    thesis, current = estimate(a, prices_2015()), estimate(replace(a, hardware="current"), prices_2015())
    assert current.usd_per_hour == thesis.usd_per_hour
    assert [note for note in current.notes if note not in thesis.notes] == [
        "machines of the current generation are priced as the thesis's types that they stand for"
    ]


def test_an_estimated_price_says_how_it_was_estimated() -> None:
    notes = " ".join(estimate(load("geo-ii", ROOT), prices_2015()).notes)
    assert "db.m3.medium in sa-east-1 estimated" in notes
    assert "m3.medium estimated as 0.25 of m3.xlarge" in notes


def test_the_irish_database_price_that_flatters_geo_ii_is_shown_both_ways() -> None:
    e = estimate(load("geo-i", ROOT), prices_2015())
    assert any(f"{e.usd_per_hour - 2.560 + 1.680:.3f} $/h" in note for note in e.notes)


def test_a_price_that_nobody_knows_is_an_error_that_names_it() -> None:
    prices = replace(prices_2015(), ec2_per_hour={})
    with pytest.raises(UnknownPriceError, match=r"c3\.8xlarge in eu-west-1"):
        estimate(load("baseline", ROOT), prices)
