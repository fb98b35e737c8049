"""The rules of friends, and of questions that users ask of everyone or of friends."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec
import pytest

from market import calls, keys, limits
from market.blocking_calls import Master
from market.calls import friends, questions
from market.calls.friends import Named
from market.protocol import AskQuestion, ErrorCode, Game, PoolChanged, PoolStatus, decode_push
from market.store import Call
from tests.service.administering import opened
from tests.service.asking import granted, refused
from tests.service.client import prediction
from tests.service.conftest import Client, RedisServer

INTERVAL_MS = 300


def befriend(client: Client, *pairs: tuple[str, str]) -> None:
    for user, other in pairs:
        granted(client, friends.befriend(user, other, "friend"))


def question(key: str = "q1", **changes: Any) -> AskQuestion:
    fields = {"game": "match-1", "question": 'Who "scores"?', "options": ["Ann", "Zoë"]} | changes
    return AskQuestion(id=0, key=key, **fields)


def asking(key: str = "q1", user: str = "user-1", **changes: Any) -> Call[bool]:
    return questions.ask(user, question(key, **changes))


def seen(client: Client, user: str) -> list[str]:
    return [pool.id for pool in granted(client, calls.pools("match-1", user)) if pool.id != "winner"]


def pushed(client: Client) -> list[Any]:
    return [decode_push(push) for push in client.lrange(keys.history("match-1"), 0, -1)]


def test_friends_are_mutual_when_each_named_the_other(market: Client) -> None:
    befriend(market, ("user-1", "user-3"), ("user-1", "user-2"), ("user-2", "user-1"))
    assert granted(market, friends.friends("user-1")) == Named(["user-2", "user-3"], ["user-2"])
    assert granted(market, friends.friends("user-3")) == Named([], [])
    assert granted(market, friends.befriend("user-2", "user-1", "unfriend")) is False
    assert granted(market, friends.friends("user-1")).mutual == []


def test_a_friend_is_named_and_removed_once(market: Client) -> None:
    steps: list[tuple[Any, bool]] = [
        ("friend", False),
        ("friend", True),
        ("unfriend", False),
        ("unfriend", True),
    ]
    for kind, before in steps:
        assert granted(market, friends.befriend("user-1", "user-2", kind)) is before
    entries = [(entry[b"kind"], entry[b"user"], entry[b"body"]) for _, entry in market.xrange(keys.JOURNAL)]
    assert entries == [
        (b"friend", b"user-1", b'{"user":"user-2"}'),
        (b"unfriend", b"user-1", b'{"user":"user-2"}'),
    ]


def test_friends_are_others_and_not_too_many(market: Client) -> None:
    assert refused(market, friends.befriend("user-1", "user-1", "friend")) is ErrorCode.CONFLICT
    market.sadd(keys.friends("user-1"), *(f"friend-{number}" for number in range(limits.MAX_FRIENDS)))
    too_many = friends.befriend("user-1", "user-2", "friend")
    assert refused(market, too_many) is ErrorCode.TOO_MANY_REQUESTS
    granted(market, friends.befriend("user-1", "friend-0", "unfriend"))
    granted(market, too_many)


def test_a_question_for_everyone_is_an_open_pool_that_everyone_is_told_of(market: Client) -> None:
    assert granted(market, asking(closes_in_s=60)) is False
    name = questions.pool_of("user-1", "q1")
    for user in ("user-1", "user-2", ""):
        assert seen(market, user) == [name]
    pool = granted(market, calls.pools("match-1"))[1]
    assert (pool.question, pool.options, pool.totals) == ('Who "scores"?', ["Ann", "Zoë"], [0, 0])
    assert (pool.status, pool.asker, pool.audience) == ("open", "user-1", "everyone")
    assert pool.closes_at_ms is not None
    assert 0 < pool.closes_at_ms - time.time() * 1000 <= 60_000
    assert market.zscore(keys.CLOSING, name) == pool.closes_at_ms
    (push,) = pushed(market)
    assert isinstance(push, PoolChanged)
    assert (push.pool, push.status, push.question, push.options) == (
        name,
        "open",
        pool.question,
        pool.options,
    )
    ((_, entry),) = market.xrange(keys.JOURNAL)
    assert (entry[b"kind"], entry[b"user"], entry[b"key"]) == (b"question", b"user-1", b"q1")
    assert msgspec.json.decode(entry[b"body"]) == {
        "question": pool.question,
        "options": pool.options,
        "audience": "everyone",
        "closes_at_ms": pool.closes_at_ms,
    }


def test_a_question_opens_one_pool(market: Client) -> None:
    assert granted(market, asking()) is False
    assert granted(market, asking()) is True
    assert refused(market, asking(question="Who else?")) is ErrorCode.KEY_REUSED
    market.delete(keys.receipt("user-1", "q1"))
    assert refused(market, asking()) is ErrorCode.EXISTS


def test_a_question_of_friends_is_for_the_asker_and_mutual_friends(market: Client) -> None:
    befriend(market, ("user-1", "user-2"), ("user-2", "user-1"), ("user-1", "user-3"), ("user-4", "user-1"))
    granted(market, asking(audience="friends"))
    name = questions.pool_of("user-1", "q1")
    for user in ("user-1", "user-2"):
        assert seen(market, user) == [name]
        granted(market, calls.place(user, prediction(1, pool=name), INTERVAL_MS))
    for user in ("user-3", "user-4", "user-5", ""):
        assert seen(market, user) == []
    for user in ("user-3", "user-4", "user-5"):
        placing = calls.place(user, prediction(1, pool=name), INTERVAL_MS)
        assert refused(market, placing) is ErrorCode.NOT_ALLOWED


def test_nothing_of_a_question_of_friends_is_published(market: Client) -> None:
    granted(market, asking(audience="friends"))
    name = questions.pool_of("user-1", "q1")
    granted(market, calls.place("user-1", prediction(1, pool=name, stake=7), INTERVAL_MS))
    assert granted(market, calls.flush(name, INTERVAL_MS)) == 0
    granted(market, calls.place("user-1", prediction(2, stake=3), INTERVAL_MS))
    granted(market, calls.flush("winner", INTERVAL_MS))
    assert [(push.pool, push.offset) for push in pushed(market)] == [("winner", 1)]
    (_, pool) = granted(market, calls.pools("match-1", "user-1"))
    assert (pool.totals, pool.epoch, pool.offset) == ([7, 0], 0, 0)
    assert market.zrange(keys.DUE, 0, -1) == []


def test_a_question_needs_a_game_that_is_not_over(market: Client) -> None:
    market.hset(keys.GAMES, "match-2", msgspec.json.encode(Game("match-2", "B - A", "finished")))
    assert refused(market, asking(game="match-3")) is ErrorCode.NO_SUCH_GAME
    assert refused(market, asking(game="match-2")) is ErrorCode.CONFLICT


@pytest.mark.parametrize("status", ["open", "closed"])
def test_a_user_has_few_questions_open(market: Client, status: PoolStatus) -> None:
    for number in range(limits.MAX_OPEN_QUESTIONS):
        granted(market, asking(f"q{number}"))
    granted(market, asking("q0", user="user-2"))
    assert refused(market, asking("one-more")) is ErrorCode.TOO_MANY_REQUESTS
    first = keys.pool(questions.pool_of("user-1", "q0"))
    market.hset(first, mapping={"status": status, "closes_ms": int(time.time() * 1000) - 1})
    assert granted(market, asking("one-more")) is False


def test_a_user_asks_a_bounded_number_of_questions_in_a_game(market: Client) -> None:
    for number in range(limits.MAX_QUESTIONS_PER_GAME):
        granted(market, asking(f"q{number}"))
        market.hset(keys.pool(questions.pool_of("user-1", f"q{number}")), "status", "closed")
    assert refused(market, asking("one-more")) is ErrorCode.TOO_MANY_REQUESTS
    market.hset(keys.GAMES, "match-2", msgspec.json.encode(Game("match-2", "B - A", "live")))
    granted(market, asking("one-more", game="match-2"))
    assert refused(market, asking("one-more-yet")) is ErrorCode.TOO_MANY_REQUESTS
    market.hset(keys.GAMES, "match-1", msgspec.json.encode(Game("match-1", "A - B", "finished")))
    granted(market, asking("two-more", game="match-2"))
    assert market.scard(keys.questions("user-1")) == 2


def test_questions_leave_room_for_the_pools_of_the_match(market: Client) -> None:
    market.set(keys.asked("match-1"), limits.MAX_QUESTIONS_OF_ALL - 1)
    granted(market, asking())
    assert refused(market, asking("q2", user="user-2")) is ErrorCode.TOO_MANY_REQUESTS
    opened(Master(market), "official")


def test_a_game_has_a_bounded_number_of_pools(market: Client) -> None:
    market.zadd(keys.pools("match-1"), {f"pool-{n}": n for n in range(limits.MAX_POOLS_PER_GAME - 1)})
    assert refused(market, asking()) is ErrorCode.TOO_MANY_REQUESTS


def test_a_full_journal_takes_neither_friends_nor_questions(market: Client) -> None:
    market.set(keys.JOURNAL_LIMIT, 0)
    assert refused(market, friends.befriend("user-1", "user-2", "friend")) is ErrorCode.JOURNAL_FULL
    assert refused(market, asking()) is ErrorCode.JOURNAL_FULL


def test_a_replica_lists_friends_and_what_they_asked(market: Client, replica: RedisServer) -> None:
    befriend(market, ("user-1", "user-2"), ("user-2", "user-1"))
    granted(market, asking(audience="friends"))
    market.wait(1, 5000)
    with contextlib.closing(replica.client()) as reader:
        assert granted(reader, friends.friends("user-2")) == Named(["user-1"], ["user-1"])
        assert seen(reader, "user-2") == [questions.pool_of("user-1", "q1")]
        assert seen(reader, "user-3") == []
