"""The rules of standing orders, and that the flush carries each out once, soon after its mark is passed."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final, Literal

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market import calls, keys, limits
from market.calls import accounts, friends, orders, questions
from market.calls.orders import Kept
from market.protocol import (
    AskQuestion,
    CancelOrder,
    CancelPrediction,
    Condition,
    ErrorCode,
    Order,
    PlaceOrder,
)
from market.scripts import script
from market.store import Call, Receipt
from tests.service.asking import granted, refused
from tests.service.client import prediction
from tests.service.conftest import Client, until

INTERVAL_MS = 300
POOL = keys.pool("winner")
PASSES: Final[tuple[Literal["at_least"], Literal["at_most"]]] = ("at_least", "at_most")
AT_LEAST_HALF = Condition(0, 500, "at_least")


def ordering(key: str = "o1", user: str = "user-1", **changes: Any) -> Call[Kept]:
    fields: dict[str, Any] = {
        "game": "match-1",
        "pool": "winner",
        "option": 1,
        "stake": 40,
        "when": AT_LEAST_HALF,
    } | changes
    return orders.place(user, PlaceOrder(id=0, key=key, **fields), INTERVAL_MS)


def cancelling(key: str = "o1", user: str = "user-1", pool: str = "winner") -> Call[bool]:
    return orders.cancel(user, CancelOrder(0, pool, key))


def bet(client: Client, number: int, option: int, stake: int) -> None:
    granted(client, calls.place("user-99", prediction(number, option=option, stake=stake), INTERVAL_MS))


def flush(client: Client, pool: str = "winner") -> int:
    """Flush a pool whose last distribution is long ago."""
    client.hset(keys.pool("winner"), "flushed_ms", 0)
    return granted(client, calls.flush(pool, INTERVAL_MS))


def waiting(client: Client, user: str = "user-1") -> list[str]:
    return [order.key for order in granted(client, orders.orders(user))]


def journalled(client: Client, *kinds: str) -> list[tuple[str, str]]:
    entries = [
        (entry[b"kind"].decode(), entry.get(b"key", b"").decode()) for _, entry in client.xrange(keys.JOURNAL)
    ]
    return [entry for entry in entries if entry[0] in kinds]


def nothing_is_left(client: Client) -> bool:
    return not list(client.scan_iter(f"{keys.ORDERS}*")) and not list(client.scan_iter(f"{keys.ORDERS_OF}*"))


def test_a_stake_that_set_off_orders_is_not_taken_back(market: Client) -> None:
    granted(market, ordering(when=Condition(0, 900, "at_least")))
    bet(market, 1, 1, 20)
    bet(market, 2, 0, 10)
    cancelled = [CancelPrediction(0, "match-1", "winner", f"k{number}") for number in range(4)]
    flush(market)
    granted(market, accounts.cancel("user-99", cancelled[2], INTERVAL_MS))
    bet(market, 3, 0, 500)
    flush(market)
    assert waiting(market) == []
    assert refused(market, accounts.cancel("user-99", cancelled[3], INTERVAL_MS)) is ErrorCode.TOO_LATE
    granted(market, accounts.cancel("user-1", CancelPrediction(0, "match-1", "winner", "o1"), INTERVAL_MS))
    bet(market, 0, 2, 5)
    granted(market, accounts.cancel("user-99", cancelled[0], INTERVAL_MS))


def test_an_order_is_kept_and_takes_no_money(market: Client) -> None:
    assert granted(market, ordering()) == Kept(duplicate=False, due_in_ms=-1)
    assert granted(market, ordering()) == Kept(duplicate=True, due_in_ms=-1)
    assert granted(market, accounts.balance("user-1")) == 1000
    kept = Order("o1", "match-1", "winner", 1, 40, AT_LEAST_HALF)
    assert granted(market, orders.orders("user-1")) == [kept]
    assert granted(market, orders.orders("user-2")) == []
    assert journalled(market, "order") == [("order", "o1")]


@pytest.mark.parametrize(
    ("user", "changes", "code"),
    [
        ("user-1", {"game": "match-2"}, ErrorCode.NO_SUCH_GAME),
        ("user-1", {"pool": "loser"}, ErrorCode.NO_SUCH_POOL),
        ("user-1", {"option": 3}, ErrorCode.NO_SUCH_OPTION),
        ("user-1", {"when": Condition(3, 1, "at_most")}, ErrorCode.NO_SUCH_OPTION),
        ("user-1", {"stake": 1001}, ErrorCode.INSUFFICIENT_FUNDS),
        ("nobody", {}, ErrorCode.NO_SUCH_ACCOUNT),
    ],
)
def test_an_order_is_checked_as_a_prediction_is(
    market: Client, user: str, changes: dict[str, Any], code: ErrorCode
) -> None:
    assert refused(market, ordering(user=user, **changes)) is code


def test_an_order_needs_an_open_pool_and_room_in_the_journal(market: Client) -> None:
    market.set(keys.JOURNAL_LIMIT, 0)
    assert refused(market, ordering()) is ErrorCode.JOURNAL_FULL
    market.hset(POOL, "status", "closed")
    assert refused(market, ordering()) is ErrorCode.POOL_CLOSED


@pytest.mark.parametrize(
    "changes", [{"stake": 41}, {"option": 2}, {"when": Condition(0, 501, "at_least")}], ids=str
)
def test_a_key_names_one_order(market: Client, changes: dict[str, Any]) -> None:
    granted(market, ordering())
    assert refused(market, ordering(**changes)) is ErrorCode.KEY_REUSED
    placing = calls.place("user-1", prediction(1, key="o1", option=1, stake=40), INTERVAL_MS)
    assert refused(market, placing) is ErrorCode.KEY_REUSED


def test_an_order_is_withdrawn_once_and_its_key_stays_used(market: Client) -> None:
    granted(market, ordering())
    assert granted(market, cancelling()) is False
    assert granted(market, cancelling()) is True
    assert nothing_is_left(market)
    assert refused(market, ordering()) is ErrorCode.KEY_REUSED
    bet(market, 1, option=0, stake=10)
    flush(market)
    assert journalled(market, "order", "order_cancelled") == [("order", "o1"), ("order_cancelled", "o1")]
    assert granted(market, accounts.balance("user-1")) == 1000


def test_only_ones_own_order_can_be_withdrawn(market: Client) -> None:
    granted(market, ordering())
    for wrong in (cancelling("o2"), cancelling(user="user-2"), cancelling(pool="loser")):
        assert refused(market, wrong) is ErrorCode.NO_SUCH_ORDER


def test_an_order_is_carried_out_when_the_distribution_passes_its_mark(market: Client) -> None:
    granted(market, ordering())
    bet(market, 1, option=0, stake=49)
    bet(market, 2, option=2, stake=51)
    flush(market)
    assert waiting(market) == ["o1"]
    bet(market, 3, option=0, stake=2)
    due_in_ms = flush(market)
    assert market.hmget(POOL, "total:0", "total:1", "total:2", "predictions") == [b"51", b"40", b"51", b"4"]
    assert granted(market, accounts.balance("user-1")) == 960
    assert journalled(market, "prediction")[-1] == ("prediction", "o1")
    assert nothing_is_left(market)
    assert 0 < due_in_ms <= INTERVAL_MS
    assert market.zscore(keys.DUE, "winner")


def test_an_order_whose_mark_is_passed_already_is_carried_out_by_the_next_flush(market: Client) -> None:
    bet(market, 1, option=0, stake=10)
    flush(market)
    kept = granted(market, ordering())
    assert 0 < kept.due_in_ms <= INTERVAL_MS
    flush(market)
    assert waiting(market) == []


def test_a_pool_without_stakes_has_no_distribution_to_pass_a_mark(market: Client) -> None:
    for key, mark in (("o1", Condition(0, 1000, "at_most")), ("o2", Condition(0, 0, "at_least"))):
        assert granted(market, ordering(key, when=mark)).due_in_ms == -1
    market.hset(POOL, "due_ms", 1)
    flush(market)
    assert waiting(market) == ["o1", "o2"]


def test_a_carried_out_order_is_a_prediction_with_the_orders_key(market: Client) -> None:
    bet(market, 1, option=0, stake=10)
    granted(market, ordering())
    flush(market)
    assert granted(market, ordering()) == Kept(duplicate=True, due_in_ms=-1)
    placing = calls.place("user-1", prediction(1, key="o1", option=1, stake=40), INTERVAL_MS)
    assert granted(market, placing).duplicate
    assert refused(market, cancelling()) is ErrorCode.NO_SUCH_ORDER
    taking_back = accounts.cancel("user-1", CancelPrediction(0, "match-1", "winner", "o1"), INTERVAL_MS)
    receipt = granted(market, taking_back)
    assert isinstance(receipt, Receipt)
    assert receipt.balance == 1000
    assert refused(market, ordering()) is ErrorCode.KEY_REUSED


def test_an_order_that_cannot_be_paid_fails_for_good(market: Client) -> None:
    granted(market, ordering(stake=600))
    granted(market, calls.place("user-1", prediction(1, stake=500), INTERVAL_MS))
    flush(market)
    entry = market.xrevrange(keys.JOURNAL, count=1)[0][1]
    assert (entry[b"kind"], entry[b"key"], entry[b"stake"]) == (b"order_failed", b"o1", b"600")
    assert entry[b"body"] == b'{"code":%d}' % ErrorCode.INSUFFICIENT_FUNDS
    assert nothing_is_left(market)
    assert granted(market, accounts.balance("user-1")) == 500
    assert refused(market, ordering(stake=600)) is ErrorCode.KEY_REUSED


def test_an_order_for_friends_fails_when_the_friendship_ends(market: Client) -> None:
    for user, other in (("user-1", "user-2"), ("user-2", "user-1")):
        granted(market, friends.befriend(user, other, "friend"))
    question = AskQuestion(0, "match-1", "Who?", ["a", "b"], "q1", "friends")
    granted(market, questions.ask("user-2", question))
    name = questions.pool_of("user-2", "q1")
    assert refused(market, ordering(user="user-3", pool=name)) is ErrorCode.NOT_ALLOWED
    granted(market, ordering("o1", pool=name))
    granted(market, friends.befriend("user-2", "user-1", "unfriend"))
    granted(market, calls.place("user-2", prediction(1, pool=name), INTERVAL_MS))
    flush(market, name)
    assert journalled(market, "order_failed") == [("order_failed", "o1")]


def test_many_orders_are_carried_out_a_batch_at_a_time(market: Client) -> None:
    users = [f"user-{number}" for number in range(limits.ORDERS_BATCH + 6)]
    for user in users:
        granted(market, ordering(user=user, stake=1))
    market.hset(keys.account("user-99"), "balance", 500)
    bet(market, 1, option=0, stake=500)
    assert flush(market) == 1
    assert len(journalled(market, "prediction")) == 1 + limits.ORDERS_BATCH
    assert granted(market, calls.flush("", INTERVAL_MS)) > 1
    assert len(journalled(market, "prediction")) == 1 + len(users)
    assert nothing_is_left(market)
    assert granted(market, calls.flush("", INTERVAL_MS)) == 0


def test_orders_wait_while_the_journal_is_full(market: Client) -> None:
    granted(market, ordering())
    bet(market, 1, option=0, stake=10)
    market.set(keys.JOURNAL_LIMIT, market.xlen(keys.JOURNAL))
    assert flush(market) == INTERVAL_MS
    assert waiting(market) == ["o1"]
    market.delete(keys.JOURNAL_LIMIT)
    flush(market)
    assert waiting(market) == []
    assert len(journalled(market, "prediction")) == 2


def test_an_order_can_be_withdrawn_until_it_is_carried_out(market: Client) -> None:
    granted(market, ordering())
    bet(market, 1, option=0, stake=10)
    market.set(keys.JOURNAL_LIMIT, market.xlen(keys.JOURNAL))
    flush(market)
    market.delete(keys.JOURNAL_LIMIT)
    granted(market, cancelling())
    flush(market)
    assert journalled(market, "prediction") == [("prediction", "k1")]
    assert nothing_is_left(market)


def test_orders_lapse_when_their_pool_closes(market: Client) -> None:
    users = [f"user-{number}" for number in range(limits.ORDERS_BATCH + 6)]
    for user in users:
        granted(market, ordering(user=user))
    market.hset(POOL, "status", "closed")
    closing = script("orders", "time", "journal").text + "\nreturn lapse_orders('winner')"
    assert market.eval(closing, 0) == 1
    assert len(journalled(market, "order_failed")) == limits.ORDERS_BATCH
    until(lambda: granted(market, calls.flush("", INTERVAL_MS)) == 0 and nothing_is_left(market), "the rest")
    assert len(journalled(market, "order_failed")) == len(users)
    assert nothing_is_left(market)
    assert market.zrange(keys.DUE, 0, -1) == []
    assert granted(market, accounts.balance("user-1")) == 1000


def test_a_pool_past_its_time_carries_nothing_out(market: Client) -> None:
    granted(market, ordering())
    bet(market, 1, option=0, stake=10)
    market.hset(POOL, "closes_ms", 1)
    flush(market)
    assert journalled(market, "order_failed") == [("order_failed", "o1")]
    assert journalled(market, "prediction") == [("prediction", "k1")]


def test_orders_are_bounded(market: Client) -> None:
    for number in range(limits.MAX_ORDERS_PER_USER):
        granted(market, ordering(f"o{number}"))
    assert refused(market, ordering("one-more")) is ErrorCode.TOO_MANY_REQUESTS
    for number in range(limits.MAX_ORDERS_PER_POOL - limits.MAX_ORDERS_PER_USER):
        market.hset(keys.orders("winner"), f"someone {number}", "{}")
    assert refused(market, ordering("o1", user="user-2")) is ErrorCode.TOO_MANY_REQUESTS


@given(st.lists(st.integers(1, 999) | st.integers(0, 2**51 - 1), min_size=3, max_size=3).filter(any))
@example([1, 2, 0])
@example([1, 1, 2])
@example([0, 1, 0])
@example([5_497_001_582_343_702, 8_548_991_574_407_000 - 5_497_001_582_343_702, 0])
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mark_is_compared_exactly_with_any_amounts(market: Client, totals: list[int]) -> None:
    market.delete(*market.keys(f"{keys.RECEIPT}*"), *market.keys(f"{keys.ORDERS}*"), keys.orders_of("user-1"))
    market.hset(POOL, mapping={f"total:{option}": total for option, total in enumerate(totals)})
    present = Fraction(totals[0], sum(totals))
    nearest = [math.floor(1000 * present) + step for step in (-1, 0, 1)]
    for share in [share for share in nearest if 0 <= share <= 1000]:
        at_least, at_most = (
            granted(market, ordering(f"{passes}-{share}", stake=1, when=Condition(0, share, passes)))
            for passes in PASSES
        )
        assert (at_least.due_in_ms >= 0) == (present >= Fraction(share, 1000))
        assert (at_most.due_in_ms >= 0) == (present <= Fraction(share, 1000))
