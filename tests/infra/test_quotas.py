"""What an architecture needs of an account's quotas, and the request to file where they are too small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.architecture import Architecture
from infra.quotas import (
    ADDRESSES,
    CORES,
    NETWORKS,
    REPLICAS,
    SERVERS,
    Quota,
    Requirement,
    missing,
    requirements,
)
from infra.regions import REGIONS
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
HOME = "eu-west-1"


def needed(a: Architecture, quota: Quota) -> dict[str, int]:
    return {r.region: r.needed for r in requirements(a) if r.quota == quota}


def architecture(stack: str, *, maximum: int = 2) -> Architecture:
    a = load(stack, ROOT)
    return replace(a, nodes=replace(a.nodes, scaling=replace(a.nodes.scaling, maximum=maximum)))


def test_the_baseline_needs_the_cores_of_its_one_node_and_of_the_monitoring_machine() -> None:
    assert needed(architecture("baseline", maximum=9), CORES) == {HOME: 32 + 1}
    assert needed(architecture("baseline", maximum=9), ADDRESSES) == {HOME: 1}


def test_geo_i_needs_cores_for_both_cores_and_redis_at_home() -> None:
    cores = needed(architecture("geo-i", maximum=3), CORES)
    assert cores == dict.fromkeys(REGIONS, 3 * 4) | {HOME: 3 * 4 + 2 * 1 + 2 + 1}


def test_standbys_of_redis_need_their_cores() -> None:
    a = architecture("geo-i")
    more = replace(a, redis=replace(a.redis, standbys=2))
    assert needed(more, CORES)[HOME] == needed(a, CORES)[HOME] + 2 * 2


def test_cores_are_those_of_the_types_that_are_ordered() -> None:
    a = architecture("geo-i")
    assert needed(replace(a, hardware="current"), CORES)[HOME] == needed(a, CORES)[HOME] + 3


@pytest.mark.parametrize(("maximum", "most"), [(1, 2), (6, 6)])
def test_a_region_needs_an_address_and_the_cores_for_every_node_that_there_may_be(
    maximum: int, most: int
) -> None:
    a = architecture("geo-ii", maximum=maximum)
    assert needed(a, ADDRESSES) == dict.fromkeys(REGIONS, most)
    assert needed(a, CORES)["sa-east-1"] == most * 8


def test_every_region_needs_one_network() -> None:
    assert needed(architecture("geo-ii"), NETWORKS) == dict.fromkeys(REGIONS, 1)
    assert needed(architecture("baseline"), NETWORKS) == {HOME: 1}


def test_replicas_count_where_their_source_is() -> None:
    a = architecture("geo-ii")
    assert needed(a, REPLICAS) == {HOME: 5}
    cascading = replace(a, sql=replace(a.sql, limits=replace(a.sql.limits, region_crossings=2)))
    assert needed(cascading, REPLICAS) == {HOME: 5, "us-west-2": 1, "ap-southeast-1": 1}
    assert needed(architecture("geo-i"), REPLICAS) == {}


def test_a_quota_that_suffices_or_is_not_known_is_not_missing() -> None:
    enough, unknown = Requirement(ADDRESSES, HOME, 5), Requirement(CORES, HOME, 64)
    assert missing([enough, unknown], {enough: 5.0}) == ()


def test_every_quota_that_is_too_small_is_named_with_the_request_to_file() -> None:
    few, one = Requirement(ADDRESSES, "sa-east-1", 6), Requirement(REPLICAS, HOME, 7)
    assert missing([few, one], {few: 5.0, one: 5.0}) == (
        "EC2-VPC Elastic IPs in sa-east-1: 6 are needed, 5 are allowed; file"
        " `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3"
        " --desired-value 6 --region sa-east-1`",
        "Read replicas per primary in eu-west-1: 7 are needed, 5 are allowed; file"
        " `aws service-quotas request-service-quota-increase --service-code rds --quota-code L-5BC124EF"
        " --desired-value 7 --region eu-west-1`",
    )


def test_every_sql_server_counts_in_its_region() -> None:
    replicas = dict.fromkeys(("us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "sa-east-1"), 1)
    assert needed(architecture("geo-ii"), SERVERS) == {HOME: 1, **replicas}
    assert needed(architecture("baseline"), SERVERS) == {}


def test_what_is_used_already_is_needed_besides() -> None:
    cores = Requirement(CORES, HOME, 21)
    assert missing([cores], {cores: 32.0}, {cores: 11}) == ()
    (problem,) = missing([cores], {cores: 32.0}, {cores: 12})
    assert "21 are needed beside 12 that are in use, 32 are allowed" in problem
    assert "--quota-code L-1216C47A --desired-value 33 --region eu-west-1" in problem


@given(needed=st.integers(1, 1000), used=st.integers(0, 1000), allowed=st.integers(0, 3000))
def test_the_request_that_is_named_suffices(needed: int, used: int, allowed: int) -> None:
    r = Requirement(ADDRESSES, HOME, needed)
    problems = missing([r], {r: float(allowed)}, {r: used})
    assert bool(problems) == (needed + used > allowed)
    for problem in problems:
        asked = float(problem.split("--desired-value ")[1].split()[0])
        assert missing([r], {r: asked}, {r: used}) == ()
