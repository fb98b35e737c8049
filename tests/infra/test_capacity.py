"""How many machines a group has, as schedules begin and end and the stack expires."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.architecture import Architecture, ScheduledCapacity
from infra.capacity import (
    NOTHING,
    Capacity,
    core_actions,
    core_capacity,
    holds_data,
    initial_nodes,
    most_nodes,
    node_actions,
    node_capacity,
    pool_size,
)
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
NOON = datetime(2027, 5, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def geo(*schedules: tuple[str, datetime, datetime, int], expiry: datetime | None = None) -> Architecture:
    """geo-i between 1 and 6 nodes a region, beginning with 2."""
    architecture = load("geo-i", ROOT)
    nodes = replace(
        architecture.nodes,
        per_region=2,
        scaling=replace(architecture.nodes.scaling, minimum=1, maximum=6),
        schedules=tuple(ScheduledCapacity(*schedule) for schedule in schedules),
    )
    return replace(architecture, nodes=nodes, expiry=expiry)


MATCH = ("match", NOON, NOON + 3 * HOUR, 4)


def test_without_a_schedule_scaling_has_the_say_between_the_bounds() -> None:
    assert node_capacity(geo(), NOON) == Capacity(1, 6, None)
    assert initial_nodes(geo(), NOON) == Capacity(1, 6, 2)
    assert node_actions(geo()) == ()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOON - HOUR, Capacity(1, 6, 2)),
        (NOON, Capacity(4, 6, 4)),
        (NOON + 2 * HOUR, Capacity(4, 6, 4)),
        (NOON + 3 * HOUR, Capacity(1, 6, 2)),
    ],
)
def test_declaring_a_stack_during_a_match_does_not_undo_the_match(at: datetime, expected: Capacity) -> None:
    assert initial_nodes(geo(MATCH), at) == expected


def test_a_match_sets_the_least_and_leaves_the_way_back_to_scaling() -> None:
    start, end = node_actions(geo(MATCH))
    assert (start.name, start.at, start.capacity) == ("match-start", NOON, Capacity(4, 6, 4))
    assert (end.name, end.at, end.capacity) == ("match-end", NOON + 3 * HOUR, Capacity(1, 6, None))


def test_of_matches_that_overlap_the_larger_counts() -> None:
    late = ("late", NOON + 2 * HOUR, NOON + 4 * HOUR, 6)
    assert [(a.name, a.capacity.minimum) for a in node_actions(geo(MATCH, late))] == [
        ("match-start", 4),
        ("late-start", 6),
        ("match-end", 6),
        ("late-end", 1),
    ]


def test_two_changes_at_one_time_are_one_action() -> None:
    second = ("second", NOON + 3 * HOUR, NOON + 5 * HOUR, 5)
    actions = node_actions(geo(MATCH, second))
    assert len({action.at for action in actions}) == len(actions) == 3
    assert actions[1].capacity == Capacity(5, 6, 5)


def test_at_the_expiry_every_group_goes_to_nothing_and_stays_there() -> None:
    forgotten = geo(MATCH, expiry=NOON + HOUR)
    assert [action.name for action in node_actions(forgotten)] == ["match-start", "expiry"]
    assert node_actions(forgotten)[-1].capacity == NOTHING
    assert [(a.name, a.capacity) for a in core_actions(forgotten)] == [("expiry", NOTHING)]
    assert initial_nodes(forgotten, NOON + 2 * HOUR) == NOTHING
    assert core_capacity(forgotten, NOON + 2 * HOUR) == NOTHING


def test_the_core_has_one_active_and_one_standby() -> None:
    assert core_capacity(geo(), NOON) == Capacity(2, 2, 2)
    assert core_actions(geo(MATCH)) == ()


def test_a_node_that_holds_the_data_never_has_a_second_one_beside_it() -> None:
    baseline = load("baseline", ROOT)
    assert holds_data(baseline)
    assert initial_nodes(baseline, NOON) == Capacity(1, 1, 1)
    assert most_nodes(baseline) == pool_size(baseline) == 1
    assert not holds_data(geo())
    assert most_nodes(geo()) == 6


def pooled(per_region: int, maximum: int, *schedules: int) -> int:
    """The addresses of a region with so many nodes, at most, and in matches."""
    architecture = geo(*((f"match-{n}", NOON, NOON + HOUR, n) for n in schedules))
    scaling = replace(architecture.nodes.scaling, maximum=maximum)
    return pool_size(
        replace(architecture, nodes=replace(architecture.nodes, per_region=per_region, scaling=scaling))
    )


@pytest.mark.parametrize(
    ("per_region", "maximum", "schedules", "addresses"),
    [
        (1, 2, (), 2),
        (1, 1, (), 2),
        (2, 2, (), 3),
        (1, 4, (4,), 5),
        (1, 4, (2, 3), 4),
        (11, 11, (), 13),
        (10, 10, (), 11),
        (1, 6, (), 6),
    ],
)
def test_there_is_an_address_for_the_node_that_comes_before_an_old_one_goes(
    per_region: int, maximum: int, schedules: tuple[int, ...], addresses: int
) -> None:
    assert pooled(per_region, maximum, *schedules) == addresses


@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_the_architectures_of_the_thesis_have_two_addresses_a_region(stack: str) -> None:
    assert pool_size(load(stack, ROOT)) == 2
