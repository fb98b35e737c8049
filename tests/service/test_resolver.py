"""The resolver: what happens in a match opens, decides and pays pools, whoever dies in between."""

from __future__ import annotations

import itertools
import random
import threading

import msgspec
import pytest

from market import keys, replay
from market.blocking_calls import Master
from market.protocol import Rule
from market.resolver import NotDoneError, Resolver
from market.resolving import pay, resolve
from market.settings import Settings
from tests.service.administering import (
    BY,
    GAME,
    balance,
    balances,
    event,
    fields,
    journal,
    opened,
    pushes,
    staked,
    status,
    submitted,
)  # fmt: skip
from tests.service.conftest import Client, Start, end, until

GOAL = Rule("goal", "team", {"home": 0, "away": 2})


@pytest.fixture
def store(market: Client) -> Master:
    return Master(market)


@pytest.fixture
def eager(settings: Settings) -> Settings:
    """Waits for no missing event."""
    return msgspec.structs.replace(
        settings, resolver=msgspec.structs.replace(settings.resolver, reorder_window_ms=0, poll_ms=10)
    )


def work(settings: Settings) -> None:
    """Let a resolver do all there is to do."""
    Resolver(settings, threading.Event(), drain=True).run()


def asked(market: Client, template: str) -> list[str]:
    """The pools that a template opened, in their order."""
    names = [name.decode() for name in market.zrange(keys.pools(GAME), 0, -1)]
    return [name for name in names if name.rpartition("-")[0] == template]


def test_the_first_event_of_its_kind_decides_a_pool_and_pays_it(
    store: Master, market: Client, eager: Settings
) -> None:
    opened(store, decided_by=GOAL)
    opened(store, "no-rule")
    staked(store, 1, 0, 100)
    staked(store, 2, 2, 50)
    submitted(
        store, event(1, "corner", team="away"), event(2, "goal", team="home"), event(3, "goal", team="away")
    )
    work(eager)
    assert (fields(market)["status"], fields(market)["winners"]) == ("resolved", "[0]")
    assert (balance(market, 1), balance(market, 2)) == (1050, 950)
    assert status(market, "no-rule") == "open"
    assert [
        entry["body"]["event"] for entry in journal(market, "pool") if entry["body"]["status"] == "resolving"
    ] == ["e2"]


def test_an_event_that_came_after_a_later_one_decides(
    store: Master, market: Client, settings: Settings
) -> None:
    opened(store, decided_by=GOAL)
    submitted(store, event(2, "goal", team="away"))
    resolver = Resolver(settings, threading.Event())
    resolver.turn(store)
    assert status(market) == "open"
    submitted(store, event(1, "goal", team="home"))
    while resolver.turn(store):
        pass
    assert fields(market)["winners"] == "[0]"


def test_a_whole_match_leaves_every_pool_decided_and_all_money_paid(
    store: Master, market: Client, eager: Settings
) -> None:
    """The recorded match with the service's own questions, and stakes on whatever is open."""
    dice = random.Random(7)
    takeout = msgspec.structs.replace(eager, resolver=msgspec.structs.replace(eager.resolver, takeout=37))
    resolver = Resolver(takeout, threading.Event())
    keyed = itertools.count()
    for happened in replay.read(None):
        submitted(store, happened)
        while resolver.turn(store):
            pass
        for name in market.zrange(keys.pools(GAME), 0, -1):
            state = fields(market, name.decode())
            if state["status"] == "open" and name != b"winner":
                for _ in range(4):
                    option, user = dice.randrange(int(state["options_count"])), dice.randrange(100)
                    key = f"k{next(keyed)}"
                    staked(store, user, option, dice.randint(1, 9), key=key, name=name.decode())
    names = [name.decode() for name in market.zrange(keys.pools(GAME), 0, -1)]
    states = {name: fields(market, name) for name in names}
    assert states.pop("winner")["status"] == "closed"
    assert {state["status"] for state in states.values()} == {"resolved"}
    (first,), (result,) = asked(market, "first-goal"), asked(market, "result")
    assert (states[first]["winners"], states[result]["winners"]) == ("[1]", "[0]")
    # Away, home, home, away, home: each goal but the first one decides the question of the one before it.
    assert [states[name]["winners"] for name in asked(market, "next-goal")] == [
        "[0]",
        "[0]",
        "[1]",
        "[0]",
        "[2]",
    ]
    kept = sum(int(state["taken"]) + int(state["remainder"]) for state in states.values())
    assert balances(market) == 100 * 1000 - kept
    assert kept > 0
    assert [sent.status for sent in pushes(market) if sent.pool == ""] == ["finished"]


def test_a_pool_that_nothing_decided_lapses(store: Master, market: Client, eager: Settings) -> None:
    submitted(store, event(1, "penalty", player="A", team_name="B"), event(2, "full_time"))
    work(eager)
    (penalty,) = asked(market, "penalty")
    assert fields(market, penalty)["status"] == "voided"
    assert status(market, "winner") == "closed"


def test_an_event_that_is_applied_again_opens_and_decides_nothing_twice(
    store: Master, market: Client, eager: Settings
) -> None:
    opened(store, decided_by=GOAL)
    goal = event(1, "goal", team="home", team_name="A", score="1-0")
    submitted(store, goal)
    work(eager)
    entries = journal(market)
    market.zadd(keys.apply(GAME), {goal.id: 1})
    market.zadd(keys.WAITING, {GAME: 0})
    work(eager)
    assert journal(market) == entries
    assert len(asked(market, "next-goal")) == 1


def test_a_pool_is_closed_when_its_time_is_over(store: Master, market: Client, eager: Settings) -> None:
    opened(store)
    market.hset(keys.pool("next"), "closes_ms", 1000)
    market.zadd(keys.CLOSING, {"next": 1000})
    work(eager)
    assert status(market) == "closed"


def test_it_pays_what_was_decided_elsewhere_and_what_a_dead_resolver_left(
    store: Master, market: Client, eager: Settings
) -> None:
    for name in ("left", "voided"):
        opened(store, name)
        for user in range(9):
            staked(store, user, user % 2, 10, name=name)
    resolve(store, BY, GAME, "voided", [])
    resolve(store, BY, GAME, "left", [0])
    dies = iter([False, False, True])
    assert pay(store, "left", lambda: next(dies), chunk=2) == "elsewhere"
    assert fields(market, "left")["cursor"] == "4"
    work(eager)
    assert (status(market, "left"), status(market, "voided")) == ("resolved", "voided")
    assert balances(market) == 100 * 1000


def test_two_at_once_that_are_killed_pay_everybody_once(
    start: Start, store: Master, market: Client, eager: Settings
) -> None:
    names = [f"pool-{number}" for number in range(6)]
    for name in names:
        opened(store, name, decided_by=GOAL, takeout=25)
        stake_many(market, name)
    others = msgspec.structs.replace(eager, node="node-2")
    processes = [start("resolver", eager), start("resolver", others)]
    for process in processes:
        until(lambda process=process: "the resolver works" in process.log(), "the resolvers")  # type: ignore[misc]
    submitted(store, event(1, "goal", team="away"))
    for process in processes:
        until(lambda: any(fields(market, name).get("paid", "0") != "0" for name in names), "a payment")
        process.process.kill()
        process.process.wait()
    work(eager)
    states = [fields(market, name) for name in names]
    assert {state["status"] for state in states} == {"resolved"}
    kept = sum(int(state["taken"]) + int(state["remainder"]) for state in states)
    assert balances(market) == 100 * 1000 - kept
    credited = journal(market, "winnings")
    assert len({(entry["pool"], entry["user"], entry["key"]) for entry in credited}) == len(credited)
    assert sum(int(entry["amount"]) for entry in credited) == sum(int(state["paid"]) for state in states)


def stake_many(market: Client, name: str) -> None:
    """Five predictions of each of the hundred users, put in the book directly."""
    pipeline = market.pipeline()
    for number in range(500):
        user, option, stake = number % 100, number % 3, 1 + number % 7
        pipeline.rpush(keys.book(name), f"user-{user} k{number} {option} {stake} 0")
        pipeline.hincrby(keys.pool(name), f"total:{option}", stake)
        pipeline.hincrby(keys.account(f"user-{user}"), "balance", -stake)
    pipeline.hset(keys.pool(name), "predictions", 500)
    pipeline.execute()


def test_it_is_woken_by_an_event_survives_a_new_seed_and_ends_at_sigterm(
    start: Start, store: Master, market: Client, eager: Settings
) -> None:
    process = start("resolver", eager)
    for sequence in (1, 2):
        until(lambda sequence=sequence: process.log().count("the resolver works") >= sequence, "the resolver")  # type: ignore[misc]
        name = f"pool-{sequence}"
        opened(store, name, decided_by=GOAL)
        submitted(store, event(sequence, "goal", team="home"))
        until(lambda name=name: status(market, name) == "resolved", "the payment")  # type: ignore[misc]
        market.delete(keys.EVENTS)
    assert end(process.process) == 0


def test_a_book_that_does_not_agree_with_its_totals_holds_up_nobody_else(
    store: Master, market: Client, settings: Settings
) -> None:
    for name in ("faulty", "good"):
        opened(store, name)
        staked(store, 1, 0, 10, name=name)
    market.rpush(keys.book("faulty"), "user-2 forged 0 500 0")
    resolve(store, BY, GAME, "faulty", [0])
    resolve(store, BY, GAME, "good", [0])
    resolver = Resolver(settings, threading.Event())
    while resolver.turn(store):
        pass
    assert (status(market, "faulty"), status(market, "good")) == ("resolving", "resolved")
    assert (balance(market, 1), balance(market, 2)) == (990, 1000)


def test_a_full_journal_makes_it_wait_and_nothing_is_lost(
    store: Master, market: Client, eager: Settings
) -> None:
    opened(store, decided_by=GOAL)
    staked(store, 1, 0, 10)
    submitted(store, event(1, "goal", team="home"))
    market.set(keys.JOURNAL_LIMIT, market.xlen(keys.JOURNAL))
    with pytest.raises(NotDoneError, match="journal is full"):
        Resolver(eager, threading.Event()).turn(store)
    assert status(market) == "open"
    market.delete(keys.JOURNAL_LIMIT)
    work(eager)
    assert status(market) == "resolved"
