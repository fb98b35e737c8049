"""What happens in the matches: each event once, in the order of its game, whatever way it came."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market import administration, keys, limits, match_events
from market.administration import Lapse, Opening, Outcome
from market.blocking_calls import Master
from market.deciding import decision
from market.match_events import Arrival, Undecided
from market.protocol import ErrorCode, Event, Rule
from market.resolving import resolve
from tests.service.administering import (
    BY,
    GAME,
    event,
    everything,
    journal,
    opened,
    pool,
    refused,
    status,
    submitted,
)  # fmt: skip
from tests.service.conftest import Client

WINDOW_MS = 60_000
"""Longer than a test."""


@pytest.fixture
def store(market: Client) -> Master:
    return Master(market)


def following(store: Master, applied: str = "", window_ms: int = WINDOW_MS) -> str | None:
    """The id of the event that has its turn."""
    arrival = store.ask(match_events.following(GAME, window_ms, applied))
    return arrival.event.id if isinstance(arrival, Arrival) else None


def undecided(store: Master, kind: str) -> list[Undecided]:
    answer = store.ask(match_events.undecided(GAME, kind))
    assert isinstance(answer, list)
    return answer


def test_an_event_counts_once(store: Master, market: Client) -> None:
    goal = event(1, "goal", team="home", player="Zoë")
    submitted(store, goal)
    assert journal(market, "event")[0]["body"]["event"]["data"] == {"team": "home", "player": "Zoë"}
    before = everything(market)
    later = msgspec.structs.replace(goal, at_ms=goal.at_ms + 5)
    for same in (goal, later):
        assert store.ask(match_events.submit("feed-2", same)) is Outcome.DUPLICATE
    other = msgspec.structs.replace(goal, kind="card")
    assert refused(store.ask(match_events.submit("feed-1", other))) is ErrorCode.EXISTS
    nowhere = msgspec.structs.replace(goal, game="nowhere")
    assert refused(store.ask(match_events.submit("feed-1", nowhere))) is ErrorCode.NO_SUCH_GAME
    assert everything(market) == before
    assert market.pttl(keys.seen(GAME)) > 0


def test_an_event_comes_out_as_it_went_in(store: Master, market: Client) -> None:
    goal = event(1, "goal", team="home", player='"Zoë" {x}')
    submitted(store, goal)
    arrival = store.ask(match_events.following(GAME, WINDOW_MS))
    assert isinstance(arrival, Arrival)
    assert arrival.event == goal


def test_a_full_journal_and_a_full_game_take_no_event(store: Master, market: Client) -> None:
    market.set(keys.JOURNAL_LIMIT, 0)
    assert refused(store.ask(match_events.submit(BY, event(1)))) is ErrorCode.JOURNAL_FULL
    market.delete(keys.JOURNAL_LIMIT)
    market.hset(keys.seen(GAME), mapping={f"x{number}": "" for number in range(limits.MAX_EVENTS)})
    assert refused(store.ask(match_events.submit(BY, event(1)))) is ErrorCode.CONFLICT
    assert market.exists(keys.apply(GAME)) == 0


def test_an_event_waits_for_the_one_before_it_but_not_for_ever(store: Master, market: Client) -> None:
    submitted(store, event(1), event(3))
    assert following(store) == "e1"
    assert following(store, "e1") is None
    assert following(store, "e1", window_ms=0) == "e3"
    submitted(store, event(2))
    assert following(store) == "e2"
    assert following(store, "e2") == "e3"
    assert following(store, "e3") is None
    assert market.zcard(keys.WAITING) == 0
    assert market.hget(keys.feed(GAME), "applied") == b"3"


def test_a_late_event_has_its_turn_at_once(store: Master, market: Client) -> None:
    submitted(store, event(1), event(5))
    assert following(store) == "e1"
    assert following(store, "e1", window_ms=0) == "e5"
    assert following(store, "e5") is None
    submitted(store, event(2))
    assert following(store) == "e2"
    assert following(store, "e2") is None
    assert market.hget(keys.feed(GAME), "applied") == b"5"


def test_only_the_first_event_is_taken_as_applied(store: Master, market: Client) -> None:
    submitted(store, event(1), event(2))
    assert following(store, "e2") == "e1"
    assert following(store, "e7") == "e1"


def test_an_event_out_of_turn_decides_and_opens_nothing(store: Master, market: Client) -> None:
    opened(store)
    submitted(store, event(1), event(2))
    before = everything(market)
    assert resolve(store, BY, GAME, "next", [0], event="e2") is Outcome.OUT_OF_TURN
    opening = Opening("e2", 2)
    assert store.ask(administration.open_pool(BY, pool("other"), opening)) is Outcome.OUT_OF_TURN
    assert everything(market) == before
    assert resolve(store, BY, GAME, "next", [0], event="e1") is Outcome.DONE


def test_events_that_came_before_a_pool_do_not_decide_it(store: Master, market: Client) -> None:
    rule = Rule("goal", "team", {"home": 0, "away": 2})
    submitted(store, event(1), event(4))
    opened(store, "after", decided_by=rule)
    opened(store, "ruleless")
    opening = Opening("e1", 1, Lapse("full_time", 1))
    assert store.ask(administration.open_pool(BY, pool("by-event", decided_by=rule), opening)) is Outcome.DONE
    assert undecided(store, "goal") == [
        Undecided("after", rule, None, 4),
        Undecided("by-event", rule, Lapse("full_time", 1), 1),
    ]
    assert [each.pool for each in undecided(store, "full_time")] == ["by-event"]
    assert undecided(store, "card") == []
    resolve(store, BY, GAME, "by-event", [0])
    assert [each.pool for each in undecided(store, "goal")] == ["after"]
    assert undecided(store, "full_time") == []


@given(st.permutations(range(1, 9)), st.lists(st.integers(0, 7), max_size=6))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_order_they_come_in_events_are_applied_in_their_own(
    market: Client, order: list[int], again: list[int]
) -> None:
    store = Master(market)
    market.delete(keys.seen(GAME), keys.feed(GAME), keys.apply(GAME), keys.WAITING)
    applied: list[str] = []
    last = ""
    for number in [*order, *(order[index] for index in again)]:
        store.ask(match_events.submit("feed-1", event(number)))
        while (ready := following(store, last)) is not None:
            applied.append(ready)
            last = ready
    assert applied == [f"e{number}" for number in range(1, 9)]


def test_the_pools_that_are_overdue_are_closed_and_the_work_is_listed(store: Master, market: Client) -> None:
    opened(store, "timely")
    opened(store, "overdue")
    opened(store, "decided")
    market.hset(keys.pool("overdue"), "closes_ms", 1000)
    market.zadd(keys.CLOSING, {"overdue": 1000, "timely": 2**52})
    resolve(store, BY, GAME, "decided", [0])
    submitted(store, event(1))
    agenda = store.ask(match_events.agenda("resolver", 16))
    assert agenda == match_events.Agenda(1, [GAME], ["decided"], 1)
    assert (status(market, "timely"), status(market, "overdue")) == ("open", "closed")
    assert journal(market, "pool")[-1]["body"] == {"status": "closed", "by": "resolver"}
    again = store.ask(match_events.agenda("resolver", 16))
    assert isinstance(again, match_events.Agenda)
    assert again.closed == 0


GOAL = Rule("goal", "team", {"home": 0, "away": 1})


@pytest.mark.parametrize(
    ("rule", "lapse", "happened", "decided"),
    [
        (GOAL, None, event(1, "goal", team="away"), [1]),
        (GOAL, None, event(1, "goal", team="own"), None),
        (GOAL, None, event(1, "goal"), None),
        (msgspec.structs.replace(GOAL, otherwise=2), None, event(1, "goal"), [2]),
        (GOAL, None, event(1, "card", team="home"), None),
        (GOAL, Lapse("full_time", 2), event(1, "full_time"), [2]),
        (GOAL, Lapse("full_time"), event(1, "full_time"), []),
        (GOAL, Lapse("goal"), event(1, "goal", team="home"), [0]),
        (GOAL, Lapse("goal"), event(1, "goal", team="own"), []),
        (None, Lapse("goal"), event(1, "goal"), []),
        (None, None, event(1, "goal"), None),
    ],
)
def test_a_rule_decides(
    rule: Rule | None, lapse: Lapse | None, happened: Event, decided: list[int] | None
) -> None:
    assert decision(rule, lapse, happened) == decided
