"""Users are sent to the node that the declared records answer with: the nearest by round trip or by place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.architecture import Architecture, Routing
from infra.geolocation import EVERYWHERE, NEAREST, USERS_IN, Location, answer_for, answers
from infra.regions import REGIONS, UnknownMatrixError, matrices, matrix
from infra.routing import resolves_to
from infra.stackfile import load

ROOT = Path(__file__).parents[2]

CONTINENTS = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}
"""Those that Route53 knows."""

NODES = st.lists(st.sampled_from(list(REGIONS)), min_size=1, unique=True).map(tuple)


def by_place(nodes: tuple[str, ...] = tuple(REGIONS), home: str = "eu-west-1") -> Architecture:
    """geo-i with geolocation records and other node regions."""
    architecture = load("geo-i", ROOT)
    return replace(
        architecture,
        home=home,
        nodes=replace(architecture.nodes, regions=nodes),
        routing=Routing(policy="geolocation"),
    )


@pytest.mark.parametrize("year", ["2017", "2024"])
def test_the_baseline_sends_everyone_to_ireland(year: str) -> None:
    assert set(resolves_to(load("baseline", ROOT), matrix(year)).values()) == {"eu-west-1"}


@pytest.mark.parametrize("year", ["2017", "2024"])
@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_eight_nodes_serve_everyone_in_their_own_region(stack: str, year: str) -> None:
    assert resolves_to(load(stack, ROOT), matrix(year)) == {region: region for region in REGIONS}


@pytest.mark.parametrize("year", ["2017", "2024"])
def test_eight_nodes_serve_everyone_in_their_own_region_by_place_too(year: str) -> None:
    assert resolves_to(by_place(), matrix(year)) == {region: region for region in REGIONS}


def test_by_place_other_measurements_change_nothing() -> None:
    architecture = by_place(("ap-northeast-1", "ap-southeast-1"))
    fastest = replace(architecture, routing=Routing(policy="latency"))
    assert resolves_to(fastest, matrix("2017"))["ap-southeast-2"] == "ap-northeast-1"
    for year in ("2017", "2024"):
        assert resolves_to(architecture, matrix(year))["ap-southeast-2"] == "ap-southeast-1"


def test_by_place_where_the_nearest_region_has_no_node_the_one_with_the_smallest_round_trip_serves() -> None:
    assert resolves_to(by_place(("eu-west-1", "us-east-1", "ap-southeast-1")), matrix("2024")) == {
        "us-east-1": "us-east-1",
        "us-west-1": "us-east-1",
        "us-west-2": "us-east-1",
        "eu-west-1": "eu-west-1",
        "ap-southeast-1": "ap-southeast-1",
        "ap-southeast-2": "ap-southeast-1",
        "ap-northeast-1": "ap-southeast-1",
        "sa-east-1": "us-east-1",
    }


def test_by_place_the_answer_is_the_smallest_location_around_the_user() -> None:
    records = {
        EVERYWHERE: "eu-west-1",
        Location("NA"): "us-east-1",
        Location("NA", "US"): "us-west-2",
        Location("NA", "US", "CA"): "us-west-1",
    }
    assert answer_for(Location("NA", "US", "CA"), records) == "us-west-1"
    assert answer_for(Location("NA", "US", "NY"), records) == "us-west-2"
    assert answer_for(Location("NA", "MX"), records) == "us-east-1"
    assert answer_for(Location("AF", "NG"), records) == "eu-west-1"


def test_by_place_the_default_is_the_first_node_where_home_has_none() -> None:
    assert answers(by_place(("us-east-1", "sa-east-1")))[EVERYWHERE] == "us-east-1"


@given(nodes=NODES, home=st.sampled_from(list(REGIONS)))
def test_by_place_everyone_is_sent_to_a_region_that_has_nodes(nodes: tuple[str, ...], home: str) -> None:
    architecture = by_place(nodes, home)
    resolved = resolves_to(architecture, matrix("2024"))
    assert set(resolved) == set(REGIONS)
    assert set(resolved.values()) <= set(nodes)
    for region in nodes:
        assert resolved[region] == region


@given(nodes=NODES)
def test_by_place_leaving_out_records_changes_no_answer(nodes: tuple[str, ...]) -> None:
    found = answers(by_place(nodes))
    for location, nearest in NEAREST.items():
        if nearest in nodes:
            assert answer_for(location, found) == nearest


def test_every_location_is_one_that_route53_knows() -> None:
    for location in (*NEAREST, *USERS_IN.values()):
        assert location.continent in CONTINENTS
        assert location.country is None or (len(location.country) == 2 and location.country.isupper())
        assert location.state is None or location.country == "US"


def test_a_matrix_has_every_ordered_pair() -> None:
    for m in matrices().values():
        assert set(m.rtt_ms) == {(a, b) for a in REGIONS for b in REGIONS}


def test_the_2017_matrix_has_sydney_309_6_ms_from_ireland() -> None:
    assert matrix("2017").rtt_ms["eu-west-1", "ap-southeast-2"] == 309.6
    assert matrix("2017").one_way_ms("eu-west-1", "ap-southeast-2") == pytest.approx(154.8)


def test_an_unknown_matrix_names_those_that_there_are() -> None:
    with pytest.raises(UnknownMatrixError, match="2017, 2024"):
        matrix("1999")
