"""Nobody stakes on what is known: while an event that is told is not applied, it holds what it may decide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market import administration, calls, keys, match_events
from market.administration import Lapse, Opening, Outcome
from market.blocking_calls import Master
from market.calls import accounts, orders
from market.match_events import Arrival
from market.protocol import CancelPrediction, Condition, ErrorCode, PlaceOrder, Rule
from market.resolving import resolve
from tests.service.administering import BY, GAME, event, fields, opened, pool, refused, status, submitted
from tests.service.asking import granted
from tests.service.client import prediction
from tests.service.conftest import Client

INTERVAL_MS = 300
GOAL = Rule("goal", "team", {"home": 0, "away": 2})


@pytest.fixture
def store(market: Client) -> Master:
    return Master(market)


def staking(number: int, name: str = "next", option: int = 0) -> Any:
    return calls.place("user-1", prediction(number, pool=name, option=option), INTERVAL_MS)


def cancelling(number: int) -> Any:
    return accounts.cancel("user-1", CancelPrediction(0, GAME, "next", f"k{number}"), INTERVAL_MS)


def ordering(option: int) -> Any:
    when = Condition(option, 500, "at_least")
    return orders.place("user-2", PlaceOrder(0, GAME, "next", option, 10, "o", when), INTERVAL_MS)


def first(store: Master, applied: str = "") -> str | None:
    arrival = store.ask(match_events.following(GAME, 0, applied))
    return arrival.event.id if isinstance(arrival, Arrival) else None


def test_nobody_stakes_or_takes_back_between_an_event_and_what_it_decides(
    store: Master, market: Client
) -> None:
    opened(store, decided_by=GOAL)
    opened(store, "other", decided_by=Rule("card", "team", {"home": 0}))
    granted(market, staking(1))
    submitted(store, event(5, team="home"))  # it waits for the ones before it
    for late in (staking(2), staking(3, option=2), cancelling(1), ordering(0)):
        assert refused(store.ask(late)) is ErrorCode.POOL_CLOSED
    assert granted(market, staking(1)).duplicate
    granted(market, staking(4, "other"))
    assert first(store) == "e5"
    assert refused(store.ask(staking(2))) is ErrorCode.POOL_CLOSED
    assert resolve(store, BY, GAME, "next", [0], event="e5") is Outcome.DONE
    assert first(store, "e5") is None
    assert fields(market)["total:0"] == "10"
    assert not list(market.scan_iter(f"{keys.HELD}*"))


def test_an_event_that_decides_nothing_lets_go_of_what_it_held(store: Master, market: Client) -> None:
    opened(store, decided_by=GOAL)
    submitted(store, event(1, team="nobody"), event(2, team="nobody"))
    store.ask(match_events.submit("feed-2", event(2, team="nobody")))
    assert first(store) == "e1"
    assert refused(store.ask(staking(1))) is ErrorCode.POOL_CLOSED
    assert first(store, "e1") == "e2"
    assert refused(store.ask(staking(1))) is ErrorCode.POOL_CLOSED
    assert first(store, "e2") is None
    granted(market, staking(1))
    granted(market, cancelling(1))


def test_orders_wait_while_a_pool_is_held(store: Master, market: Client) -> None:
    opened(store, decided_by=GOAL)
    granted(market, ordering(1))
    granted(market, staking(1, option=1))
    submitted(store, event(1, team="nobody"))
    market.hset(keys.pool("next"), "flushed_ms", 0)
    assert granted(market, calls.flush("next", INTERVAL_MS)) > 0
    assert [each.key for each in granted(market, orders.orders("user-2"))] == ["o"]
    first(store, "e1")
    granted(market, calls.flush("next", INTERVAL_MS))
    assert granted(market, orders.orders("user-2")) == []
    assert fields(market)["total:1"] == "20"


def test_orders_fail_when_the_pool_that_was_held_is_decided(store: Master, market: Client) -> None:
    opened(store, decided_by=GOAL)
    granted(market, ordering(1))
    granted(market, staking(1, option=1))
    submitted(store, event(1, team="away"))
    market.hset(keys.pool("next"), "flushed_ms", 0)
    granted(market, calls.flush("next", INTERVAL_MS))
    resolve(store, BY, GAME, "next", [2], event="e1")
    assert (fields(market)["total:1"], status(market)) == ("10", "resolving")
    assert granted(market, orders.orders("user-2")) == []


KINDS = ("goal", "card")
steps = st.one_of(
    st.tuples(st.just("tell"), st.integers(1, 12), st.sampled_from(KINDS)),
    st.tuples(st.just("apply"), st.just(0), st.just("")),
    st.tuples(st.just("open"), st.just(0), st.sampled_from(KINDS)),
    st.tuples(st.just("open_by_event"), st.just(0), st.sampled_from(KINDS)),
)


@given(st.lists(steps, min_size=4, max_size=20))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_pool_is_held_exactly_while_an_event_waits_that_may_decide_it(
    market: Client, taken: list[tuple[str, int, str]]
) -> None:
    store = Master(market)
    for name in market.scan_iter(f"{keys.PREFIX}*"):
        if not name.startswith((keys.GAMES.encode(), keys.EPOCH.encode())):
            market.delete(name)
    told: dict[str, tuple[int, str]] = {}
    waiting: dict[str, tuple[int, str]] = {}
    pools: dict[str, tuple[int, str]] = {}
    for number, (what, sequence, kind) in enumerate(taken):
        head = first(store)
        if what == "tell" and f"e{sequence}" not in told:
            submitted(store, event(sequence, kind))
            told[f"e{sequence}"] = waiting[f"e{sequence}"] = (sequence, kind)
        elif what == "apply" and head is not None:
            first(store, head)
            del waiting[head]
        elif what == "open":
            opened(store, f"p{number}", decided_by=Rule(kind, "team", {"home": 0}))
            pools[f"p{number}"] = (max((each for each, _ in told.values()), default=-1), kind)
        elif what == "open_by_event" and head is not None:
            opening = Opening(head, waiting[head][0], Lapse(kind))
            assert store.ask(administration.open_pool(BY, pool(f"p{number}"), opening)) is Outcome.DONE
            pools[f"p{number}"] = (waiting[head][0], kind)
        for name, (since, decided_by) in pools.items():
            holds = [each for each, kind in waiting.values() if kind == decided_by and each > since]
            assert int(fields(market, name).get("held", 0)) == len(holds)
