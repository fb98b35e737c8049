"""The scripts inside Redis: every rule of placing and flushing, and that money is never made or lost."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market import keys, scripts
from market.calls import read_place, read_pools
from market.protocol import Distribution, ErrorCode, PlacePrediction, Pool
from market.seed import seed
from market.settings import Settings
from market.store import Failure, Receipt
from tests.service.client import prediction
from tests.service.conftest import Client, RedisServer, until

INTERVAL_MS = 300


def load(client: Client) -> None:
    for script in (scripts.PLACE, scripts.FLUSH, scripts.POOLS):
        assert client.script_load(script.text) in (script.sha, script.sha.encode())


def place(client: Client, user: str, request: PlacePrediction) -> Receipt | Failure:
    return read_place(client.execute_command(*scripts.place(user, request, INTERVAL_MS)))


def flush(client: Client, pool: str = "winner") -> int:
    return int(client.execute_command(*scripts.flush(pool, INTERVAL_MS)))


def listed(reply: Any) -> list[Pool]:
    pools = read_pools(reply)
    assert isinstance(pools, list)
    return pools


def next_message(channel: Any) -> Any:
    messages: list[Any] = []

    def arrived() -> bool:
        messages.append(channel.get_message(timeout=0.1))
        return messages[-1] is not None

    until(arrived, "a message")
    return messages[-1]


decode = msgspec.json.Decoder(Distribution).decode


def state(client: Client) -> tuple[Any, ...]:
    """Everything that a prediction may change."""
    accounts = {n: client.hgetall(n) for n in sorted(client.scan_iter(match=f"{keys.ACCOUNT}*"))}
    return (
        accounts,
        client.hgetall(keys.pool("winner")),
        client.xrange(keys.JOURNAL),
        sorted(client.scan_iter(match=f"{keys.RECEIPT}*")),
        client.zrange(keys.DUE, 0, -1),
    )


@pytest.fixture
def redis_(market: Client) -> Client:
    load(market)
    return market


def test_a_prediction_moves_the_stake_and_is_journalled(redis_: Client) -> None:
    receipt = place(redis_, "user-1", prediction(1, option=2, stake=250))
    assert isinstance(receipt, Receipt)
    assert (receipt.balance, receipt.duplicate) == (750, False)
    assert redis_.hget(keys.account("user-1"), "balance") == b"750"
    pool = redis_.hgetall(keys.pool("winner"))
    assert [pool[f"total:{i}".encode()] for i in range(3)] == [b"0", b"0", b"250"]
    assert pool[b"predictions"] == b"1"
    assert redis_.xrange(keys.JOURNAL) == [
        (
            receipt.journal_id.encode(),
            {
                b"kind": b"prediction",
                b"user": b"user-1",
                b"key": b"k1",
                b"game": b"match-1",
                b"pool": b"winner",
                b"option": b"2",
                b"stake": b"250",
                b"amount": b"-250",
                b"balance": b"750",
                b"epoch": str(receipt.epoch).encode(),
            },
        )
    ]


@pytest.mark.parametrize(
    ("user", "changes", "code"),
    [
        ("user-1", {"game": "match-2"}, ErrorCode.NO_SUCH_GAME),
        ("user-1", {"pool": "loser"}, ErrorCode.NO_SUCH_POOL),
        ("user-1", {"game": "match-2", "pool": "loser"}, ErrorCode.NO_SUCH_GAME),
        ("user-1", {"option": 3}, ErrorCode.NO_SUCH_OPTION),
        ("nobody", {}, ErrorCode.NO_SUCH_ACCOUNT),
        ("user-1", {"stake": 1001}, ErrorCode.INSUFFICIENT_FUNDS),
    ],
)
def test_a_refused_prediction_changes_nothing(
    redis_: Client, user: str, changes: dict[str, Any], code: ErrorCode
) -> None:
    before = state(redis_)
    refused = place(redis_, user, prediction(1, **changes))
    assert isinstance(refused, Failure)
    assert refused.code is code
    assert state(redis_) == before


def test_a_closed_pool_takes_nothing(redis_: Client) -> None:
    redis_.hset(keys.pool("winner"), "status", "closed")
    before = state(redis_)
    refused = place(redis_, "user-1", prediction(1))
    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.POOL_CLOSED
    assert state(redis_) == before


def test_a_key_that_comes_again_gets_the_first_receipt(redis_: Client) -> None:
    first = place(redis_, "user-1", prediction(1, stake=100))
    place(redis_, "user-1", prediction(2, stake=100))
    before = state(redis_)
    again = place(redis_, "user-1", prediction(1, stake=100))
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (again.journal_id, again.epoch, again.balance) == (first.journal_id, first.epoch, 900)
    assert again.duplicate
    assert state(redis_) == before


def test_a_key_that_comes_again_is_answered_after_the_pool_closed(redis_: Client) -> None:
    place(redis_, "user-1", prediction(1))
    redis_.hset(keys.pool("winner"), "status", "closed")
    again = place(redis_, "user-1", prediction(1))
    assert isinstance(again, Receipt)
    assert again.duplicate


@pytest.mark.parametrize("changes", [{"stake": 11}, {"option": 1}, {"pool": "loser"}, {"game": "match-2"}])
def test_a_key_is_not_taken_for_another_prediction(redis_: Client, changes: dict[str, Any]) -> None:
    place(redis_, "user-1", prediction(1))
    before = state(redis_)
    refused = place(redis_, "user-1", prediction(1, **changes))
    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.KEY_REUSED
    assert state(redis_) == before


def test_two_users_may_use_the_same_key(redis_: Client) -> None:
    for user in ("user-1", "user-2"):
        receipt = place(redis_, user, prediction(1))
        assert isinstance(receipt, Receipt)
        assert not receipt.duplicate


def test_a_key_is_forgotten_after_a_bounded_time(redis_: Client) -> None:
    place(redis_, "user-1", prediction(1))
    left_ms = redis_.pttl(keys.receipt("user-1", "k1"))
    assert 0 < left_ms <= scripts.RECEIPT_LIFETIME_MS


@st.composite
def predictions(draw: st.DrawFn) -> tuple[str, PlacePrediction]:
    user = draw(st.sampled_from(["user-0", "user-1", "user-2", "nobody"]))
    request = prediction(
        0,
        game=draw(st.sampled_from(["match-1"] * 9 + ["match-2"])),
        pool=draw(st.sampled_from(["winner"] * 9 + ["loser"])),
        option=draw(st.integers(0, 3)),
        stake=draw(st.integers(1, 400)),
        key=f"k{draw(st.integers(0, 8))}",
    )
    return user, request


@given(st.lists(predictions(), max_size=40))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_money_is_conserved_and_no_balance_is_negative(
    settings: Settings, master: RedisServer, requests: list[tuple[str, PlacePrediction]]
) -> None:
    seed(settings, users=3, balance=1000)
    with contextlib.closing(master.client()) as client:
        load(client)
        accepted = [
            (user, request)
            for user, request in requests
            if isinstance(receipt := place(client, user, request), Receipt) and not receipt.duplicate
        ]
        balances = [int(client.hget(keys.account(f"user-{i}"), "balance") or 0) for i in range(3)]
        pool = client.hgetall(keys.pool("winner"))
        totals = [int(pool[f"total:{i}".encode()]) for i in range(3)]
        journal = [int(fields[b"stake"]) for _, fields in client.xrange(keys.JOURNAL)]
    assert min(balances) >= 0
    assert sum(balances) + sum(totals) == 3000
    assert sum(totals) == sum(journal) == sum(request.stake for _, request in accepted)
    assert len({(user, request.key) for user, request in accepted}) == len(accepted) == len(journal)
    assert int(pool[b"predictions"]) == len(accepted)


def test_amounts_beyond_a_float_are_exact(settings: Settings, master: RedisServer) -> None:
    seed(settings, users=1, balance=2**53 - 1)
    with contextlib.closing(master.client()) as client:
        load(client)
        for number in range(3):
            assert isinstance(place(client, "user-0", prediction(number, stake=10**12 - number)), Receipt)
        again = place(client, "user-0", prediction(2, stake=10**12 - 2))
        assert isinstance(again, Receipt)
        assert again.balance == 2**53 - 1 - 3 * 10**12 + 3
        (pool,) = listed(client.execute_command(*scripts.pools("match-1")))
        assert pool.totals == [3 * 10**12 - 3, 0, 0]


def test_a_flush_publishes_the_distribution_once(redis_: Client) -> None:
    with contextlib.closing(redis_.pubsub(ignore_subscribe_messages=True)) as channel:
        channel.subscribe(keys.channel("match-1"))
        place(redis_, "user-1", prediction(1, option=1, stake=30))
        receipt = place(redis_, "user-1", prediction(2, option=0, stake=5))
        assert flush(redis_) == 0
        assert flush(redis_) == 0
        published_by_us = time.time() * 1e6
        place(redis_, "user-1", prediction(3))
        assert 0 < flush(redis_) <= INTERVAL_MS
        message = next_message(channel)
        assert channel.get_message(timeout=0.05) is None
    sent = decode(message["data"])
    assert isinstance(receipt, Receipt)
    assert msgspec.structs.replace(sent, published_us=0) == Distribution(
        "match-1", "winner", receipt.epoch, 1, 0, [5, 30, 0], 2
    )
    assert published_by_us - 5e6 < sent.published_us <= published_by_us


def test_a_pool_that_did_not_change_is_not_flushed(redis_: Client) -> None:
    assert flush(redis_) == 0
    assert redis_.hget(keys.position("match-1"), "offset") is None
    assert flush(redis_, "loser") == 0


def test_a_place_says_when_the_flush_is_due(redis_: Client) -> None:
    first = place(redis_, "user-1", prediction(1))
    flush(redis_)
    second = place(redis_, "user-1", prediction(2))
    third = place(redis_, "user-1", prediction(3))
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert isinstance(third, Receipt)
    assert first.due_in_ms == 0
    assert 0 < third.due_in_ms <= second.due_in_ms <= INTERVAL_MS


def test_overdue_pools_are_found(redis_: Client) -> None:
    place(redis_, "user-1", prediction(1))
    assert redis_.zrange(keys.DUE, 0, -1) == [b"winner"]
    flush(redis_, "")
    assert redis_.hget(keys.pool("winner"), "offset") == b"1"
    assert redis_.zrange(keys.DUE, 0, -1) == []


def test_a_clock_that_was_set_back_does_not_stop_the_distributions(redis_: Client) -> None:
    redis_.hset(keys.pool("winner"), "flushed_ms", int(time.time() * 1000) + 3_600_000)
    receipt = place(redis_, "user-1", prediction(1))
    assert isinstance(receipt, Receipt)
    assert receipt.due_in_ms == 0
    flush(redis_)
    assert redis_.hget(keys.pool("winner"), "offset") == b"1"


def test_a_publication_inside_a_script_reaches_the_subscribers_of_a_replica(
    redis_: Client, replica: RedisServer
) -> None:
    with (
        contextlib.closing(replica.client()) as reader,
        contextlib.closing(reader.pubsub(ignore_subscribe_messages=True)) as channel,
    ):
        channel.subscribe(keys.channel("match-1"))
        until(lambda: reader.pubsub_numsub(keys.channel("match-1"))[0][1] == 1, "the subscription")
        place(redis_, "user-1", prediction(1))
        flush(redis_)
        assert decode(next_message(channel)["data"]).offset == 1


def test_a_replica_lists_pools(redis_: Client, replica: RedisServer) -> None:
    place(redis_, "user-1", prediction(1, stake=7))
    redis_.wait(1, 5000)
    with contextlib.closing(replica.client()) as reader:
        load(reader)
        (pool,) = listed(reader.execute_command(*scripts.pools("match-1")))
        assert pool.totals == [7, 0, 0]
        missing = read_pools(reader.execute_command(*scripts.pools("match-2")))
        assert isinstance(missing, Failure)
        assert missing.code is ErrorCode.NO_SUCH_GAME


def test_a_full_memory_refuses_before_anything_changed(redis_: Client) -> None:
    before = state(redis_)
    redis_.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            place(redis_, "user-1", prediction(1))
    finally:
        redis_.config_set("maxmemory", 0)
    assert state(redis_) == before
