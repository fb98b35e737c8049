from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.scenario import Scenario, Stakes, Uniform
from bench.schedule import Action, Draw, Kind, connect_at_s, draw, schedule, source, timeline

seeds = st.integers(min_value=0, max_value=2**64 - 1)


@st.composite
def scenarios(make: st.DrawFn) -> Scenario:
    low = make(st.floats(0.5, 5))
    return Scenario(
        users=make(st.integers(1, 50)),
        ramp_s=make(st.floats(0, 60)),
        duration_s=make(st.floats(0, 120)),
        join_wait_s=Uniform(0, make(st.floats(0, 15))),
        place_wait_s=Uniform(low, low + make(st.floats(0, 30))),
        stakes=Stakes(1, make(st.integers(1, 10**6))),
        options=make(st.integers(1, 8)),
    )


def is_within(wait: Uniform, actual: float) -> bool:
    return wait.low - 1e-9 <= actual <= wait.high + 1e-9


@given(scenarios(), seeds)
def test_a_user_connects_then_joins_then_predicts_with_the_scenarios_waits(
    scenario: Scenario, seed: int
) -> None:
    connect, *rest = timeline(scenario, seed, 0)
    assert connect == Action(connect_at_s(scenario, 0), 0, Kind.CONNECT)
    if rest:
        join, *places = rest
        assert join.kind is Kind.JOIN
        assert is_within(scenario.join_wait_s, join.at_s - connect.at_s)
        assert all(place.kind is Kind.PLACE for place in places)
        assert all(is_within(scenario.place_wait_s, b.at_s - a.at_s) for a, b in pairwise(rest))
        assert [place.number for place in places] == list(range(len(places)))


@given(scenarios(), seeds)
def test_options_stakes_and_times_are_within_their_bounds(scenario: Scenario, seed: int) -> None:
    for action in schedule(scenario, seed, range(scenario.users)):
        assert 0 <= action.at_s < max(scenario.end_s, 1e-9)
        if action.kind is Kind.PLACE:
            assert 0 <= action.option < scenario.options
            assert scenario.stakes.low <= action.stake <= scenario.stakes.high


@given(scenarios(), seeds, st.integers(1, 8))
def test_the_schedule_of_all_users_does_not_depend_on_how_they_are_divided(
    scenario: Scenario, seed: int, workers: int
) -> None:
    whole = list(schedule(scenario, seed, range(scenario.users)))
    parts = [schedule(scenario, seed, range(first, scenario.users, workers)) for first in range(workers)]
    assert whole == sorted(whole)
    assert sorted(action for part in parts for action in part) == whole


@given(scenarios(), seeds)
def test_no_user_can_stake_more_than_the_largest_spend(scenario: Scenario, seed: int) -> None:
    spent = dict.fromkeys(range(scenario.users), 0)
    for action in schedule(scenario, seed, range(scenario.users)):
        spent[action.user] += action.stake
    assert max(spent.values()) <= scenario.largest_spend


def test_the_users_are_spread_evenly_over_the_ramp() -> None:
    scenario = Scenario(users=24_000, ramp_s=200, duration_s=1)
    times = [connect_at_s(scenario, user) for user in range(scenario.users)]
    assert times[0] == 0
    assert {round(b - a, 9) for a, b in pairwise(times)} == {round(200 / 24_000, 9)}
    assert times[-1] < 200


def test_draws_are_uniform_and_independent_of_each_other() -> None:
    values = [
        draw(source(1, user), number, use) for user in range(50) for number in range(50) for use in Draw
    ]
    assert all(0 <= value < 1 for value in values)
    assert len(set(values)) == len(values)
    shares = [sum(tenth / 10 <= v < (tenth + 1) / 10 for v in values) / len(values) for tenth in range(10)]
    assert all(abs(share - 0.1) < 0.01 for share in shares)


def test_another_seed_is_another_schedule() -> None:
    scenario = Scenario(users=3, ramp_s=1, duration_s=60)
    assert list(schedule(scenario, 1, range(3))) == list(schedule(scenario, 1, range(3)))
    assert list(schedule(scenario, 1, range(3))) != list(schedule(scenario, 2, range(3)))


def test_a_user_of_the_thesis_makes_about_350_requests_in_90_minutes() -> None:
    scenario = Scenario(users=50, ramp_s=200, duration_s=90 * 60)
    actions = list(schedule(scenario, 1, range(50)))
    assert 330 < len(actions) / 50 < 370
