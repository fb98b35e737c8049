"""Replicas stay within the provider's limits, and every reader has a server to read from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.regions import REGIONS
from infra.replicas import Limits, NoPlacementError, Placement, place

HOME = "eu-west-1"
OTHERS = [region for region in REGIONS if region != HOME]


def depth(placement: Placement, region: str) -> int:
    return 0 if region == placement.home else 1 + depth(placement, placement.source_of[region])


def test_a_chain_gives_replicas_to_regions_past_the_limit_of_one_source() -> None:
    placement = place(HOME, OTHERS, list(REGIONS), {}, Limits(replicas_per_source=5, chain_length=2))
    assert set(placement.source_of) == set(OTHERS)
    assert placement.source_of[OTHERS[5]] == OTHERS[0]


def test_a_reader_without_replica_and_fallback_reads_at_home() -> None:
    placement = place(HOME, OTHERS, list(REGIONS), {}, Limits(5, 1))
    assert placement.reads_from[OTHERS[6]] == HOME


def test_a_fallback_that_has_no_server_is_refused() -> None:
    with pytest.raises(NoPlacementError, match="chain-length"):
        place(HOME, OTHERS[:1], OTHERS, {OTHERS[2]: OTHERS[3]}, Limits(5, 1))


@given(
    wanted=st.lists(st.sampled_from(OTHERS)),
    readers=st.sets(st.sampled_from(list(REGIONS))),
    limits=st.builds(Limits, st.integers(0, 15), st.integers(1, 4)),
)
def test_limits_hold_and_every_reader_reads_from_a_server(
    wanted: list[str], readers: set[str], limits: Limits
) -> None:
    placement = place(HOME, wanted, sorted(readers), {}, limits)
    sources = list(placement.source_of.values())
    servers = {HOME, *placement.source_of}
    assert all(sources.count(source) <= limits.replicas_per_source for source in sources)
    assert all(depth(placement, region) <= limits.chain_length for region in placement.source_of)
    assert set(placement.reads_from) == readers
    assert set(placement.reads_from.values()) <= servers
    assert all(placement.reads_from[region] == region for region in readers & servers)
