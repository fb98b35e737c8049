"""Replicas stay within the provider's limits, and every reader has a server to read from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.regions import REGIONS
from infra.replicas import Limits, NoPlacementError, Placement, place

HOME = "eu-west-1"
OTHERS = [region for region in REGIONS if region != HOME]
PREFERRED = [
    "us-east-1",
    "us-west-2",
    "ap-southeast-1",
    "ap-northeast-1",
    "sa-east-1",
    "us-west-1",
    "ap-southeast-2",
]
THESIS_FALLBACK = {"us-west-1": "us-west-2", "ap-southeast-2": "ap-southeast-1"}
LIMITS_2015 = Limits(replicas_per_source=5, chain_length=3, region_crossings=1)

limits = st.builds(Limits, st.integers(0, 15), st.integers(1, 4), st.integers(1, 4))
wanted_regions = st.lists(st.sampled_from(OTHERS))
fallbacks = st.dictionaries(st.sampled_from(OTHERS), st.sampled_from(list(REGIONS)))


def chain(placement: Placement, region: str) -> list[str]:
    """The regions from one that has a server to home, which is reached in at most as many links."""
    found = [region]
    while found[-1] != placement.home:
        found.append(placement.source_of[found[-1]])
        assert len(found) <= len(REGIONS)
    return found


def placed(
    limits: Limits, fallback: Mapping[str, str] = THESIS_FALLBACK, wanted: list[str] = PREFERRED
) -> Placement:
    return place(HOME, wanted, list(REGIONS), fallback, limits)


def to_home(wanted: list[str]) -> dict[str, str]:
    """Fallbacks with which every wish can be met."""
    return dict.fromkeys(wanted, HOME)


def test_the_limits_of_2015_are_those_that_a_stack_file_has_without_naming_any() -> None:
    assert Limits() == LIMITS_2015


def test_the_limits_of_2015_give_the_thesis_s_five_replicas_each_of_the_master() -> None:
    placement = placed(LIMITS_2015)
    assert placement.source_of == dict.fromkeys(PREFERRED[:5], HOME)


def test_the_limits_of_2015_let_sydney_read_in_singapore_and_california_in_oregon() -> None:
    reads = placed(LIMITS_2015).reads_from
    assert {reader: target for reader, target in reads.items() if reader != target} == THESIS_FALLBACK


def test_chains_may_be_long_and_yet_cross_only_one_boundary() -> None:
    assert placed(replace(LIMITS_2015, chain_length=4)) == placed(LIMITS_2015)


def test_a_boundary_more_does_not_help_where_a_chain_may_have_one_link() -> None:
    one_link = Limits(replicas_per_source=5, chain_length=1, region_crossings=4)
    assert placed(one_link) == placed(LIMITS_2015)


def test_a_source_that_may_have_seven_gives_every_region_its_own_replica_of_the_master() -> None:
    placement = placed(replace(LIMITS_2015, replicas_per_source=7))
    assert placement.source_of == dict.fromkeys(PREFERRED, HOME)
    assert placement.reads_from == {region: region for region in REGIONS}


def test_cascading_across_regions_chains_sydney_to_singapore_and_california_to_oregon() -> None:
    placement = placed(replace(LIMITS_2015, region_crossings=2))
    assert placement.source_of == dict.fromkeys(PREFERRED[:5], HOME) | THESIS_FALLBACK
    assert placement.reads_from == {region: region for region in REGIONS}
    assert placement.replicas_of("us-west-2") == ("us-west-1",)


def test_without_a_fallback_a_chained_replica_takes_the_shortest_chain() -> None:
    placement = placed(Limits(2, 3, 3), fallback={}, wanted=PREFERRED)
    assert [len(chain(placement, region)) - 1 for region in PREFERRED] == [1, 1, 2, 2, 2, 2, 3]


def test_a_fallback_that_has_all_its_replicas_is_passed_over_as_a_source() -> None:
    fallback = {"us-west-1": "us-east-1", "ap-southeast-2": "us-east-1", "sa-east-1": "us-east-1"}
    wanted = ["us-east-1", "us-west-2", "us-west-1", "ap-southeast-2", "sa-east-1"]
    placement = placed(Limits(2, 2, 2), fallback, wanted)
    assert placement.replicas_of("us-east-1") == ("us-west-1", "ap-southeast-2")
    assert placement.replicas_of("us-west-2") == ("sa-east-1",)


def test_a_reader_that_wants_no_replica_reads_at_home() -> None:
    placement = placed(LIMITS_2015, fallback={}, wanted=["us-east-1"])
    assert set(placement.reads_from.values()) == {"us-east-1", HOME}


def test_a_wanted_region_past_the_limits_is_not_sent_home_silently() -> None:
    with pytest.raises(NoPlacementError) as caught:
        placed(LIMITS_2015, fallback={"us-west-1": "us-west-2"})
    assert caught.value.mistakes == {
        "limits": "ap-southeast-2 gets no replica and has no read-fallback: raise replicas-per-source"
        " from 5 to 7, or region-crossings from 1 to 2, or name another read-fallback"
    }


def test_a_limit_is_to_be_raised_by_no_more_than_is_needed() -> None:
    with pytest.raises(
        NoPlacementError, match="replicas-per-source from 6 to 7, or region-crossings from 1 to 2"
    ):
        placed(Limits(6, 3, 1), fallback={})


def test_where_chains_are_short_as_well_both_limits_of_depth_are_named() -> None:
    with pytest.raises(NoPlacementError, match="chain-length from 1 to 2 and region-crossings from 1 to 2"):
        placed(Limits(5, 1, 1), fallback={})


def test_a_limit_that_does_not_help_is_not_named() -> None:
    with pytest.raises(NoPlacementError) as caught:
        placed(Limits(1, 4, 1), fallback={})
    assert "replicas-per-source from 1 to 7" in str(caught.value)
    assert "region-crossings" not in str(caught.value)


def test_a_fallback_past_the_limits_is_said_to_get_no_replica() -> None:
    with pytest.raises(NoPlacementError, match="us-west-1 should read from us-west-2, which gets no replica"):
        place(
            HOME,
            ["us-east-1", "us-west-2"],
            ["us-west-1"],
            {"us-west-1": "us-west-2", "us-west-2": HOME},
            Limits(1),
        )


def test_a_fallback_that_wants_no_replica_is_another_mistake() -> None:
    with pytest.raises(NoPlacementError) as caught:
        placed(LIMITS_2015, {OTHERS[2]: OTHERS[3]}, wanted=OTHERS[:1])
    assert caught.value.mistakes == {
        "read-fallback": f"{OTHERS[2]} should read from {OTHERS[3]}, which is not in replica-regions:"
        " add it or name another"
    }


@given(wanted_regions, st.sets(st.sampled_from(list(REGIONS))), limits)
def test_limits_hold(wanted: list[str], readers: set[str], limits: Limits) -> None:
    placement = place(HOME, wanted, sorted(readers), to_home(wanted), limits)
    for source in (HOME, *placement.source_of):
        assert len(placement.replicas_of(source)) <= limits.replicas_per_source
        links = len(chain(placement, source)) - 1
        assert links <= limits.chain_length
        assert links <= limits.region_crossings


@given(wanted_regions, st.sets(st.sampled_from(list(REGIONS))), limits, fallbacks)
def test_every_reader_reads_from_a_server_its_own_if_it_has_one(
    wanted: list[str], readers: set[str], limits: Limits, fallback: dict[str, str]
) -> None:
    try:
        placement = place(HOME, wanted, sorted(readers), fallback, limits)
    except NoPlacementError:
        return
    servers = {HOME, *placement.source_of}
    assert set(placement.reads_from) == readers
    assert set(placement.reads_from.values()) <= servers
    assert all(placement.reads_from[region] == region for region in readers & servers)


@given(wanted_regions, limits, fallbacks)
def test_every_source_is_made_before_its_replicas(
    wanted: list[str], limits: Limits, fallback: dict[str, str]
) -> None:
    placement = place(HOME, wanted, (), to_home(wanted) | dict.fromkeys(fallback, HOME), limits)
    made = [HOME]
    for region, source in placement.source_of.items():
        assert source in made
        assert region not in made
        made.append(region)


@given(wanted_regions, limits, limits)
def test_raising_limits_never_loses_a_replica(wanted: list[str], some: Limits, more: Limits) -> None:
    higher = Limits(
        max(some.replicas_per_source, more.replicas_per_source),
        max(some.chain_length, more.chain_length),
        max(some.region_crossings, more.region_crossings),
    )
    before = place(HOME, wanted, (), to_home(wanted), some)
    after = place(HOME, wanted, (), to_home(wanted), higher)
    assert before.source_of.keys() <= after.source_of.keys()


@given(wanted_regions, limits, fallbacks)
def test_regions_get_their_replicas_in_the_order_of_preference(
    wanted: list[str], limits: Limits, fallback: dict[str, str]
) -> None:
    placement = place(HOME, wanted, (), to_home(wanted) | dict.fromkeys(fallback, HOME), limits)
    in_order = list(dict.fromkeys(wanted))
    assert list(placement.source_of) == in_order[: len(placement.source_of)]


@given(wanted_regions, limits, fallbacks)
def test_every_advice_about_a_limit_helps(
    wanted: list[str], limits: Limits, fallback: dict[str, str]
) -> None:
    advice = limits_mistake(wanted, fallback, limits).partition(": raise ")[2]
    for each in advice.split(", or ")[:-1]:
        changes = {
            key.replace("-", "_"): int(then) for key, then in re.findall(r"([a-z-]+) from \d+ to (\d+)", each)
        }
        assert not limits_mistake(wanted, fallback, replace(limits, **changes))


def limits_mistake(wanted: list[str], fallback: Mapping[str, str], limits: Limits) -> str:
    try:
        place(HOME, wanted, OTHERS, fallback, limits)
    except NoPlacementError as error:
        return error.mistakes.get("limits", "")
    return ""
