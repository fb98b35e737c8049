"""Paying a pool out: each winner once, whoever pays, however often, and whatever dies in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market import keys, payouts
from market.administration import Outcome
from market.blocking_calls import Master
from market.payouts import Part
from market.protocol import ErrorCode
from market.resolving import pay, resolve
from market.seed import seed
from market.settings import Settings
from market.settlement import payments
from tests.service.administering import (
    BY,
    GAME,
    balance,
    balances,
    everything,
    fields,
    journal,
    opened,
    pushes,
    refused,
    staked,
    status,
)
from tests.service.conftest import Client, RedisServer


@pytest.fixture
def store(market: Client) -> Master:
    return Master(market)


def never() -> bool:
    return False


def pay_all(store: Master, name: str = "next", chunk: int = 2) -> Any:
    return pay(store, name, never, chunk)


def test_winners_share_what_the_house_leaves(store: Master, market: Client) -> None:
    opened(store, takeout=50)
    staked(store, 1, 0, 100, key="mine")
    staked(store, 2, 0, 33)
    staked(store, 3, 1, 200)
    resolve(store, BY, GAME, "next", [0])
    assert pay_all(store) == "settled"
    # 333 staked, 16 taken, 317 shared by 133: 100 * 317 // 133 and 33 * 317 // 133.
    assert [balance(market, user) for user in (1, 2, 3)] == [900 + 238, 967 + 78, 800]
    place = {"kind": "winnings", "game": GAME, "pool": "next", "option": "0"}
    assert journal(market, "winnings") == [
        place | {"user": "user-1", "key": "mine", "stake": "100", "amount": "238", "balance": "1138"},
        place | {"user": "user-2", "key": "next-2-0-33", "stake": "33", "amount": "78", "balance": "1045"},
    ]
    assert journal(market, "pool")[-1]["body"] == {
        "status": "resolved", "winners": [0], "net": 317, "paid": 316, "takeout": 16, "remainder": 1
    }  # fmt: skip
    sent = pushes(market)[-1]
    assert (sent.status, sent.winners, sent.totals, sent.predictions) == ("resolved", [0], [133, 200, 0], 3)
    state = fields(market)
    assert (state["status"], state["paid"], state["remainder"], state["cursor"]) == (
        "resolved",
        "316",
        "1",
        "3",
    )
    assert market.smembers(keys.SETTLING) == set()


@pytest.mark.parametrize(("winners", "ends"), [([2], "resolved"), ([], "voided")])
def test_everything_is_given_back_when_nobody_won_and_when_a_pool_is_void(
    store: Master, market: Client, winners: list[int], ends: str
) -> None:
    opened(store, takeout=100)
    staked(store, 1, 0, 100)
    staked(store, 1, 1, 50)
    resolve(store, BY, GAME, "next", winners)
    assert pay_all(store) == "settled"
    assert balance(market, 1) == 1000
    assert [(entry["amount"], entry["balance"]) for entry in journal(market, "refund")] == [
        ("100", "950"),
        ("50", "1000"),
    ]
    assert journal(market, "pool")[-1]["body"] == {
        "status": ends, "winners": winners, "net": 150, "paid": 150, "takeout": 0, "remainder": 0
    }  # fmt: skip
    assert status(market) == ends
    assert resolve(store, BY, GAME, "next", winners) is Outcome.DUPLICATE


def test_a_pool_without_predictions_is_settled_at_once(store: Master, market: Client) -> None:
    opened(store)
    resolve(store, BY, GAME, "next", [1])
    assert pay_all(store) == "settled"
    assert status(market) == "resolved"


def test_a_cancelled_prediction_is_paid_nothing(store: Master, market: Client) -> None:
    opened(store)
    for user in (1, 2, 3):
        staked(store, user, 0, 10)
    market.lset(keys.book("next"), 1, "")
    market.hincrby(keys.pool("next"), "total:0", -10)
    resolve(store, BY, GAME, "next", [0])
    assert pay_all(store) == "settled"
    assert [balance(market, user) for user in (1, 2, 3)] == [1000, 990, 1000]


def test_who_comes_with_an_earlier_part_pays_nothing(store: Master, market: Client) -> None:
    opened(store)
    for user in range(6):
        staked(store, user, user % 2, 10)
    assert store.ask(payouts.settle("next", 0)) == "elsewhere"
    resolve(store, BY, GAME, "next", [0])
    first = store.ask(payouts.settle("next", 0, limit=2))
    assert isinstance(first, Part)
    assert isinstance(store.ask(payouts.settle("next", 0, [20, 0], 2)), Part)
    before = everything(market)
    assert store.ask(payouts.settle("next", 0, [20, 0], 2)) == "elsewhere"
    assert store.ask(payouts.settle("next", 4, [20, 0], 2)) == "elsewhere"
    assert everything(market) == before
    assert pay_all(store) == "settled"
    before = everything(market)
    assert pay_all(store) == "elsewhere"
    assert store.ask(payouts.settle("next", 4, [20, 0], 2)) == "elsewhere"
    assert everything(market) == before
    assert balances(market) == 100 * 1000


@pytest.mark.parametrize("amounts", [[31, 0], [None, 10], [10, None, 0], [1] * 7])
def test_a_payment_that_does_not_fit_the_book_changes_nothing(
    store: Master, market: Client, amounts: list[int | None]
) -> None:
    opened(store)
    for user in range(3):
        staked(store, user, user % 2, 10)
    resolve(store, BY, GAME, "next", [0])
    before = everything(market)
    assert refused(store.ask(payouts.settle("next", 0, amounts))) is ErrorCode.INTERNAL
    assert everything(market) == before


def test_a_full_journal_pays_nothing(store: Master, market: Client) -> None:
    opened(store)
    for user in range(3):
        staked(store, user, 0, 10)
    resolve(store, BY, GAME, "next", [0])
    market.set(keys.JOURNAL_LIMIT, market.xlen(keys.JOURNAL) + 2)
    before = everything(market)
    assert refused(pay_all(store)) is ErrorCode.JOURNAL_FULL
    assert everything(market) == before
    market.delete(keys.JOURNAL_LIMIT)
    assert pay_all(store) == "settled"


books = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 10**12), st.booleans()), max_size=25
)
"""Predictions: user, option, stake, whether it is cancelled."""


class Payer:
    """A resolver of which each step can be taken by itself, and which may die after any."""

    def __init__(self, store: Master, chunk: int) -> None:
        self._store = store
        self._chunk = chunk
        self.start()

    def start(self) -> None:
        """Begin, as a new process does."""
        settlement: Any = self._store.ask(payouts.settlement("next"))
        self._settlement = settlement
        self._next: Any = "elsewhere"
        if settlement is not None:
            self._next = self._store.ask(payouts.settle("next", settlement.cursor, limit=self._chunk))

    def step(self) -> None:
        if isinstance(self._next, Part):
            agreed = self._settlement
            paid = payments(agreed.terms, agreed.winners, self._next.predictions)
            self._next = self._store.ask(payouts.settle("next", self._next.cursor, paid, self._chunk))
        else:
            self.start()


@given(
    books,
    st.sets(st.integers(0, 2)),
    st.integers(0, 500),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.lists(st.sampled_from(["first", "second", "first dies", "second dies"]), max_size=60),
)
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_two_resolvers_that_die_at_any_moment_pay_once(
    settings: Settings,
    master: RedisServer,
    book: list[tuple[int, int, int, bool]],
    winners: set[int],
    takeout: int,
    chunks: tuple[int, int],
    steps: list[str],
) -> None:
    opening = 10**14
    seed(settings, users=5, balance=opening)
    with contextlib.closing(master.client()) as client:
        store = Master(client)
        opened(store, takeout=takeout)
        for number, (user, option, stake, cancelled) in enumerate(book):
            staked(store, user, option, stake, key=f"k{number}")
            if cancelled:
                cancel(client, number, user, option, stake)
        resolve(store, BY, GAME, "next", sorted(winners))
        payers = {"first": Payer(store, chunks[0]), "second": Payer(store, chunks[1])}
        for step in steps:
            who, _, dies = step.partition(" ")
            take: Callable[[], None] = payers[who].start if dies else payers[who].step
            take()
        pay_all(store, chunk=3)

        state = fields(client)
        paid, taken, remainder = (int(state[name]) for name in ("paid", "taken", "remainder"))
        stakes = sum(stake for _, _, stake, cancelled in book if not cancelled)
        winning = sum(1 for _, option, _, cancelled in book if option in winners and not cancelled)
        credited = journal(client, "winnings", "refund")
        assert stakes == paid + taken + remainder
        assert 0 <= remainder <= max(0, winning - 1)
        assert balances(client) == 5 * opening - stakes + paid
        assert sum(int(entry["amount"]) for entry in credited) == paid
        assert len({entry["key"] for entry in credited}) == len(credited)
        assert int(state["cursor"]) == len(book)
        bodies = [entry["body"]["status"] for entry in journal(client, "pool")]
        assert bodies == ["open", "closed", "resolving", "resolved" if winners else "voided"]
        assert [sent.status for sent in pushes(client)][-1] == bodies[-1]


def cancel(client: Client, index: int, user: int, option: int, stake: int) -> None:
    """What a cancellation leaves behind."""
    client.lset(keys.book("next"), index, "")
    client.hincrby(keys.pool("next"), f"total:{option}", -stake)
    client.hincrby(keys.account(f"user-{user}"), "balance", stake)
