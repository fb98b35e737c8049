"""Every connection that an architecture makes, and the peerings that carry those between regions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.architecture import Architecture
from infra.flows import (
    METRICS_PORT,
    REDIS_PORT,
    SENTINEL_PORT,
    SQL_PORT,
    TIER_OF,
    Flow,
    Place,
    flows,
    network_regions,
    peerings,
    places,
)
from infra.regions import REGIONS
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")
HOME = "eu-west-1"
OTHERS = [region for region in REGIONS if region != HOME]


def architecture(stack: str) -> Architecture:
    return load(stack, ROOT)


def connections(a: Architecture) -> set[tuple[str, str, str, str, int]]:
    return {(f.source.role, f.source.region, f.target.role, f.target.region, f.port) for f in flows(a)}


def with_standbys(a: Architecture) -> Architecture:
    return replace(a, redis=replace(a.redis, standbys=1))


def cascading(a: Architecture) -> Architecture:
    return replace(a, sql=replace(a.sql, limits=replace(a.sql.limits, region_crossings=2)))


def test_the_baseline_s_node_talks_to_nobody_and_is_only_watched() -> None:
    assert connections(architecture("baseline")) == {("monitoring", HOME, "node", HOME, METRICS_PORT)}
    assert peerings(architecture("baseline")) == ()
    assert network_regions(architecture("baseline")) == (HOME,)


@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_every_node_reaches_the_redis_at_home(stack: str) -> None:
    found = connections(architecture(stack))
    assert {("node", region, "redis", HOME, REDIS_PORT) for region in REGIONS} <= found


@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_every_node_reaches_the_history_that_its_region_reads_and_the_master_behind_it(stack: str) -> None:
    a = architecture(stack)
    reads = a.sql_placement.reads_from
    found = {flow[1:4:2] for flow in connections(a) if flow[0] == "node" and flow[4] == SQL_PORT}
    assert found == {(region, server) for region in REGIONS for server in (reads[region], HOME)}


@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_the_core_reaches_the_masters_of_live_state_and_history(stack: str) -> None:
    found = connections(architecture(stack))
    assert ("core", HOME, "redis", HOME, REDIS_PORT) in found
    assert ("core", HOME, "sql", HOME, SQL_PORT) in found


@pytest.mark.parametrize("stack", STACKS)
def test_every_machine_of_ours_is_watched_and_no_other_connection_crosses_to_it(stack: str) -> None:
    a = architecture(stack)
    watched = {(f.target.role, f.target.region) for f in flows(a) if f.source.role == "monitoring"}
    assert watched == {(p.role, p.region) for p in places(a) if p.role not in ("sql", "monitoring")}


@pytest.mark.parametrize("stack", STACKS)
def test_no_flow_leads_from_or_to_a_place_that_there_is_not(stack: str) -> None:
    a = architecture(stack)
    assert {place for flow in flows(a) for place in (flow.source, flow.target)} <= set(places(a))


def test_standbys_replicate_agree_and_are_asked_for_the_master() -> None:
    a = architecture("geo-i")
    added = connections(with_standbys(a)) - connections(a)
    assert added == {
        *(("node", region, "redis", HOME, SENTINEL_PORT) for region in REGIONS),
        ("core", HOME, "redis", HOME, SENTINEL_PORT),
        ("redis", HOME, "redis", HOME, SENTINEL_PORT),
        ("redis", HOME, "redis", HOME, REDIS_PORT),
    }


def test_geo_i_is_peered_with_home_only() -> None:
    assert set(peerings(architecture("geo-i"))) == {(HOME, region) for region in OTHERS}


def test_geo_ii_is_also_peered_where_one_region_reads_in_another() -> None:
    assert set(peerings(architecture("geo-ii"))) == {
        *((HOME, region) for region in OTHERS),
        ("ap-southeast-1", "ap-southeast-2"),
        ("us-west-1", "us-west-2"),
    }


def test_a_region_with_a_replica_of_its_own_needs_no_peering_with_its_replica_s_source() -> None:
    a = cascading(architecture("geo-ii"))
    assert a.sql_placement.source_of["us-west-1"] == "us-west-2"
    assert set(peerings(a)) == {(HOME, region) for region in OTHERS}


@pytest.mark.parametrize("stack", STACKS)
def test_exactly_the_flows_that_cross_a_boundary_have_a_peering_each_pair_once(stack: str) -> None:
    a = architecture(stack)
    crossing = {frozenset((f.source.region, f.target.region)) for f in flows(a) if f.crosses}
    assert [frozenset(pair) for pair in peerings(a)].count(frozenset()) == 0
    assert sorted(map(sorted, peerings(a))) == sorted(map(sorted, crossing))


def test_a_replica_away_from_every_node_has_its_network_too() -> None:
    a = architecture("geo-ii")
    fewer = replace(
        a, nodes=replace(a.nodes, regions=(HOME, "us-east-1")), sql=replace(a.sql, read_fallback={})
    )
    fewer = replace(fewer, sql=replace(fewer.sql, replica_regions=("us-east-1", "sa-east-1")))
    assert network_regions(fewer) == (HOME, "us-east-1", "sa-east-1")


def test_data_and_watching_are_in_subnets_that_no_route_leads_out_of() -> None:
    assert {role for role, tier in TIER_OF.items() if tier == "isolated"} == {"redis", "sql", "monitoring"}
    assert Place("sql", HOME).tier == "isolated"
    assert not Flow(Place("node", HOME), Place("sql", HOME), SQL_PORT, "").crosses
