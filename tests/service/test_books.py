"""All that a market can do is in its books: the journal, SQL, the users' lists and the audit log agree."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pymysql
import pytest

from market import audit_dump, keys
from market.blocking_calls import Master
from market.protocol import (
    AddFriend,
    AskQuestion,
    CancelOrder,
    CancelPrediction,
    Condition,
    Deposit,
    Error,
    FriendsPredictions,
    ListFriendsPredictions,
    ListTransactions,
    PlaceOrder,
    RemoveFriend,
    Request,
    Transactions,
)
from market.resolving import pay, resolve
from market.settings import Settings
from market.store import Failure
from tests.service.administering import BY, GAME, event, opened, submitted
from tests.service.client import prediction
from tests.service.conftest import Client
from tests.service.entries import Process, drain, entries, running

USERS = ("user-1", "user-2", "user-3")
WAITS = PlaceOrder(1, GAME, "next", 2, 5, "waits", Condition(2, 900, "at_least"))


async def done(process: Process, user: str, request: Request) -> Any:
    reply = await process.ask(user, request)
    assert not isinstance(reply, Failure | Error), (request, reply)
    return reply


async def a_match(process: Process, master: Master) -> None:
    """Something of everything."""
    opened(master, "next", grace_ms=60_000)
    opened(master, "void")
    for user in USERS:
        await done(process, user, Deposit(1, 50, "d"))
        await done(process, user, prediction(1, pool="next", option=int(user[-1]) % 2, stake=30))
        await done(process, user, prediction(2, pool="void", stake=7))
    for one, other in (("user-1", "user-2"), ("user-2", "user-1"), ("user-1", "user-3")):
        await done(process, one, AddFriend(1, other))
    await done(process, "user-1", RemoveFriend(1, "user-3"))
    await done(process, "user-2", prediction(3, pool="next", stake=9))
    await done(process, "user-2", CancelPrediction(1, GAME, "next", "k3"))
    await done(process, "user-1", AskQuestion(1, GAME, "Öffnet “er”?", ["yes", "no"], "q", "friends"))
    await done(process, "user-3", WAITS)
    await done(process, "user-3", msgspec.structs.replace(WAITS, key="withdrawn"))
    await done(process, "user-3", CancelOrder(1, "next", "withdrawn"))
    submitted(master, event(1, team="home"))
    resolve(master, BY, GAME, "next", [0])
    resolve(master, BY, GAME, "void", [])
    for pool in ("next", "void"):
        assert pay(master, pool, lambda: False, 2) == "settled"


async def transactions(process: Process, user: str) -> Transactions:
    listed = await done(process, user, ListTransactions(1, None, 100))
    assert isinstance(listed, Transactions)
    return listed


def test_the_books_of_a_match_agree_before_and_after_they_are_in_sql(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    async def seen(process: Process) -> tuple[Any, ...]:
        friends = await done(process, "user-1", ListFriendsPredictions(1, GAME, "next"))
        assert isinstance(friends, FriendsPredictions)
        return friends, [await transactions(process, user) for user in USERS]

    async def scenario() -> tuple[Any, ...]:
        async with running(settings) as process:
            await a_match(process, Master(market))
            before = await seen(process)
            await asyncio.to_thread(drain, settings)
            assert await seen(process) == before
            return before

    friends, lists = asyncio.run(scenario())
    for user, listed in zip(USERS, lists, strict=True):
        balance = int(market.hget(keys.account(user), "balance"))
        assert 1000 + sum(each.amount for each in listed.transactions) == balance
        assert listed.transactions[0].balance == balance
    assert [(each.user, each.stake) for each in friends.predictions] == [("user-2", 30)]

    assert market.xlen(keys.REJECTED) == 0
    assert len(entries(market)) == market.xlen(keys.JOURNAL)
    sql.execute("SELECT kind, COUNT(*) FROM journal GROUP BY kind")
    kinds = dict(sql.fetchall())
    assert sum(kinds.values()) == market.xlen(keys.JOURNAL)
    assert kinds.keys() == {
        "prediction", "cancellation", "deposit", "winnings", "refund", "order", "order_cancelled",
        "order_failed", "friend", "unfriend", "question", "pool", "event",
    }  # fmt: skip


@pytest.mark.parametrize("user", [None, "user-2"])
def test_the_audit_log_of_a_match_is_that_of_its_journal(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor, user: str | None
) -> None:
    async def scenario() -> None:
        async with running(settings) as process:
            await a_match(process, Master(market))

    asyncio.run(scenario())
    expected = [entry.journal_id for entry in entries(market) if user in (None, entry.user)]
    before = list(audit_dump.lines(settings, user))
    drain(settings)
    assert [json.loads(line)["journal_id"] for line in before] == expected
    assert list(audit_dump.lines(settings, user)) == before
