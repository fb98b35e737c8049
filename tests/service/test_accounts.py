"""The rules of accounts: predictions that are taken back, deposits, the balance."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from market import calls, keys, limits
from market.calls import accounts
from market.protocol import CancelPrediction, Deposit, ErrorCode
from market.seed import seed
from market.settings import Settings
from market.store import Call, Receipt
from tests.service.asking import granted, refused
from tests.service.client import prediction
from tests.service.conftest import Client, RedisServer

INTERVAL_MS = 300
POOL = keys.pool("winner")


def place(client: Client, number: int = 1, user: str = "user-1", **changes: int) -> Receipt:
    return granted(client, calls.place(user, prediction(number, **changes), INTERVAL_MS))


def cancelling(number: int = 1, user: str = "user-1", **changes: str) -> Call[Receipt]:
    fields = {"game": "match-1", "pool": "winner", "key": f"k{number}"} | changes
    return accounts.cancel(user, CancelPrediction(0, **fields), INTERVAL_MS)


def deposit(amount: int, key: str = "d1", user: str = "user-1") -> Call[Receipt]:
    return accounts.deposit(user, Deposit(0, amount, key))


def test_a_cancelled_prediction_gives_its_stake_back_and_leaves_the_pool(market: Client) -> None:
    place(market, 1, option=1, stake=30)
    place(market, 2, option=1, stake=12, user="user-2")
    receipt = granted(market, cancelling())
    assert (receipt.balance, receipt.duplicate) == (1000, False)
    assert granted(market, accounts.balance("user-1")) == 1000
    assert market.hmget(POOL, "total:1", "predictions") == [b"12", b"1"]
    assert [row.split(b" ")[:2] for row in market.lrange(keys.book("winner"), 0, -1)] == [
        [b""],
        [b"user-2", b"k2"],
    ]
    journal_id, entry = market.xrevrange(keys.JOURNAL, count=1)[0]
    assert journal_id.decode() == receipt.journal_id
    assert {name: entry[name] for name in (b"kind", b"user", b"key", b"stake", b"amount", b"balance")} == {
        b"kind": b"cancellation",
        b"user": b"user-1",
        b"key": b"k1",
        b"stake": b"30",
        b"amount": b"30",
        b"balance": b"1000",
    }


def test_a_cancellation_that_comes_again_gets_the_first_receipt(market: Client) -> None:
    place(market)
    first = granted(market, cancelling())
    place(market, 2)
    market.hset(POOL, "status", "closed")
    again = granted(market, cancelling())
    assert again.duplicate
    assert (again.journal_id, again.epoch, again.balance) == (first.journal_id, first.epoch, 1000)
    assert granted(market, accounts.balance("user-1")) == 990


def test_a_key_stays_used_after_its_prediction_was_cancelled(market: Client) -> None:
    place(market)
    granted(market, cancelling())
    assert refused(market, calls.place("user-1", prediction(1), INTERVAL_MS)) is ErrorCode.KEY_REUSED


@pytest.mark.parametrize(
    ("user", "changes", "code"),
    [
        ("user-1", {"game": "match-2"}, ErrorCode.NO_SUCH_GAME),
        ("user-1", {"pool": "loser"}, ErrorCode.NO_SUCH_POOL),
        ("user-1", {"key": "k2"}, ErrorCode.NO_SUCH_PREDICTION),
        ("user-1", {"key": "d1"}, ErrorCode.NO_SUCH_PREDICTION),
        ("user-2", {}, ErrorCode.NO_SUCH_PREDICTION),
    ],
)
def test_only_ones_own_prediction_can_be_cancelled(
    market: Client, user: str, changes: dict[str, Any], code: ErrorCode
) -> None:
    place(market)
    granted(market, deposit(5))
    assert refused(market, cancelling(user=user, **changes)) is code


def test_a_prediction_is_not_cancelled_through_another_pool(market: Client) -> None:
    market.copy(POOL, keys.pool("score"))
    place(market)
    assert refused(market, cancelling(pool="score")) is ErrorCode.NO_SUCH_PREDICTION


def test_a_prediction_is_cancelled_only_while_its_pool_is_open(market: Client) -> None:
    place(market)
    market.hset(POOL, "closes_ms", int(time.time() * 1000) - 1)
    assert refused(market, cancelling()) is ErrorCode.POOL_CLOSED
    market.hdel(POOL, "closes_ms")
    market.hset(POOL, "status", "closed")
    assert refused(market, cancelling()) is ErrorCode.POOL_CLOSED


@pytest.mark.parametrize("grace_ms", [None, 0, 60_000])
def test_a_prediction_is_cancelled_only_within_its_grace_time(market: Client, grace_ms: int | None) -> None:
    if grace_ms is not None:
        market.hset(POOL, "grace_ms", grace_ms)
    grace_ms = limits.GRACE_MS_DEFAULT if grace_ms is None else grace_ms
    for number, age_ms in ((1, grace_ms + 1), (2, grace_ms - 10_000)):
        place(market, number)
        placed_ms = int(time.time() * 1000) - age_ms
        market.lset(keys.book("winner"), number - 1, f"user-1 k{number} 0 10 {placed_ms}")
    assert refused(market, cancelling(1)) is ErrorCode.TOO_LATE
    assert granted(market, cancelling(2)).balance == 990


def test_a_name_with_dashes_is_no_pattern(market: Client) -> None:
    granted(market, deposit(50, user="a-b-"))
    place(market, 1, user="a-b-", stake=50)
    assert granted(market, cancelling(user="a-b-")).balance == 50


def test_a_cancellation_has_the_distribution_sent(market: Client) -> None:
    place(market)
    granted(market, calls.flush("winner", INTERVAL_MS))
    receipt = granted(market, cancelling())
    assert 0 < receipt.due_in_ms <= INTERVAL_MS
    assert market.zscore(keys.DUE, "winner")


def test_a_deposit_is_added_once(market: Client) -> None:
    first, again = granted(market, deposit(250)), granted(market, deposit(250))
    assert (first.balance, first.duplicate, again.balance, again.duplicate) == (1250, False, 1250, True)
    assert first.journal_id == again.journal_id
    assert market.hgetall(keys.account("user-1")) == {b"opening": b"1250", b"balance": b"1250"}
    assert market.get(keys.MONEY) == b"100250"
    ((_, entry),) = market.xrange(keys.JOURNAL)
    assert (entry[b"kind"], entry[b"amount"], entry[b"balance"]) == (b"deposit", b"250", b"1250")


def test_a_deposit_opens_an_account(market: Client) -> None:
    assert refused(market, accounts.balance("newcomer")) is ErrorCode.NO_SUCH_ACCOUNT
    granted(market, deposit(250, user="newcomer"))
    assert granted(market, accounts.balance("newcomer")) == 250


def test_a_key_names_one_write_only(market: Client) -> None:
    granted(market, deposit(250, "k1"))
    assert refused(market, deposit(251, "k1")) is ErrorCode.KEY_REUSED
    assert refused(market, calls.place("user-1", prediction(1), INTERVAL_MS)) is ErrorCode.KEY_REUSED
    place(market, 2)
    assert refused(market, deposit(10, "k2")) is ErrorCode.KEY_REUSED


def test_all_the_money_stays_countable(settings: Settings, master: RedisServer) -> None:
    seed(settings, users=1, balance=limits.MAX_MONEY - 100)
    with contextlib.closing(master.client()) as client:
        assert granted(client, deposit(99, "d1", "user-1")).balance == 99
        assert refused(client, deposit(1, "d2", "user-0")) is ErrorCode.CONFLICT
        assert int(client.get(keys.MONEY)) == limits.MAX_MONEY - 1


def test_a_full_journal_takes_neither_cancellation_nor_deposit(market: Client) -> None:
    place(market)
    market.set(keys.JOURNAL_LIMIT, 1)
    assert refused(market, cancelling()) is ErrorCode.JOURNAL_FULL
    assert refused(market, deposit(1)) is ErrorCode.JOURNAL_FULL
    market.set(keys.JOURNAL_LIMIT, 2)
    granted(market, cancelling())
