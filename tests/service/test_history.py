"""Lists of what happened: complete wherever the entries are, in order, without doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pymysql
import pytest

from market import calls_journal, keys
from market.journal import Place
from market.protocol import (
    ErrorCode,
    FriendPrediction,
    FriendsPredictions,
    ListFriendsPredictions,
    ListTransactions,
    Transaction,
    Transactions,
)
from market.settings import Settings
from market.store import Failure
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, Start, free_port
from tests.service.entries import Process, append, cancel, copy, drain, entries, predict, running

Cursor = pymysql.cursors.Cursor


@pytest.fixture
def behind(settings: Settings) -> Settings:
    """A region whose SQL replica has only what `copy` brings there."""
    return msgspec.structs.replace(
        settings, sql_read=msgspec.structs.replace(settings.sql_read, database="market_behind")
    )


def places(client: Client) -> list[Place | None]:
    """How far a replica may be: nowhere, or after any of the entries."""
    return [None, *(entry.place.following for entry in entries(client))]


async def pages(process: Process, user: str, limit: int) -> AsyncIterator[list[Transaction]]:
    cursor = None
    while True:
        page = await process.ask(user, ListTransactions(1, cursor, limit))
        assert isinstance(page, Transactions), page
        yield page.transactions
        cursor = page.cursor
        if cursor is None:
            return


async def transactions(process: Process, user: str = "user-1", limit: int = 50) -> list[Transaction]:
    return [each async for page in pages(process, user, limit) for each in page]


async def friends_predictions(
    process: Process, limit: int = 50, user: str = "user-1"
) -> list[FriendPrediction]:
    found: list[FriendPrediction] = []
    cursor = None
    while True:
        request = ListFriendsPredictions(1, "match-1", "winner", cursor, limit)
        page = await process.ask("user-1", request)
        assert isinstance(page, FriendsPredictions), page
        found += page.predictions
        cursor = page.cursor
        if cursor is None:
            return found


def ids(listed: list[Any]) -> list[str]:
    return [each.journal_id for each in listed]


def changes_of(client: Client, user: str = "user-1") -> list[str]:
    """The ids of the user's changes of the account in the journal, newest first."""
    return [e.journal_id for e in reversed(entries(client)) if e.user == user and e.amount is not None]


def a_life(client: Client) -> None:
    """What two users do, the entries of one among those of the other."""
    append(client, "deposit", "user-1", key="d", amount=100, balance=100)
    append(client, "friend", "user-1", body='{"user":"user-2"}')
    for number in range(3):
        predict(client, "user-1", f"k{number}")
        predict(client, "user-2", f"k{number}")
    cancel(client, "user-1", "k1")
    append(client, "pool", game="match-1", pool="winner", body='{"status":"closed"}')
    append(client, "winnings", "user-1", game="match-1", pool="winner", amount=25, balance=105)
    append(client, "refund", "user-2", game="match-1", pool="winner", amount=5, balance=6)


def test_a_list_is_the_same_wherever_its_entries_are(settings: Settings, market: Client, sql: Cursor) -> None:
    a_life(market)
    expected = changes_of(market)

    async def listed() -> list[Transaction]:
        async with running(settings) as process:
            return await transactions(process)

    before = asyncio.run(listed())
    assert ids(before) == expected
    assert before[0] == Transaction(
        "winnings", 25, 105, int(market.get(keys.EPOCH)), expected[0], None, "match-1", "winner"
    )
    drain(settings)
    assert asyncio.run(listed()) == before
    market.delete(keys.JOURNAL, keys.tail("user-1"))
    assert asyncio.run(listed()) == before


def test_pages_meet_at_the_seam_between_replica_and_journal(
    settings: Settings, behind: Settings, market: Client, sql: Cursor
) -> None:
    a_life(market)
    expected = changes_of(market)
    drain(settings)

    async def scenario() -> None:
        async with running(behind) as process:
            for count, place in enumerate(places(market)):
                copy(sql, place)
                for limit in (1, 2, 3, len(expected), 100):
                    found = [page async for page in pages(process, "user-1", limit)]
                    assert [i for page in found for i in ids(page)] == expected, (count, limit)
                    assert all(len(page) == limit for page in found[:-1])

    asyncio.run(scenario())


def test_writes_and_the_ledger_do_not_disturb_who_turns_pages(
    settings: Settings, behind: Settings, market: Client, sql: Cursor
) -> None:
    for number in range(20):
        predict(market, "user-1", f"k{number}")
    expected = changes_of(market)

    async def scenario() -> list[str]:
        found: list[str] = []
        async with running(behind) as process:
            number = 20
            async for page in pages(process, "user-1", 3):
                found += ids(page)
                predict(market, "user-1", f"k{number}")
                await asyncio.to_thread(drain, settings)
                copy(sql, places(market)[number - 6])
                number += 1
        return found

    assert asyncio.run(scenario()) == expected


def test_users_see_their_own_only(settings: Settings, market: Client, sql: Cursor) -> None:
    a_life(market)

    async def scenario() -> list[list[Transaction]]:
        async with running(settings) as process:
            return [await transactions(process, user) for user in ("user-2", "user-3")]

    second, third = asyncio.run(scenario())
    assert ids(second) == changes_of(market, "user-2")
    assert third == []


def test_more_than_is_looked_at_comes_in_short_pages(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, market: Client, sql: Cursor
) -> None:
    monkeypatch.setattr(calls_journal, "LOOKED_AT_OF_ONE", 5)
    for number in range(23):
        predict(market, "user-1", f"k{number}")
        append(market, "friend", "user-1", body='{"user":"user-2"}')

    async def scenario() -> list[Transaction]:
        async with running(settings) as process:
            return await transactions(process)

    assert ids(asyncio.run(scenario())) == changes_of(market)


def test_ids_that_a_failover_brings_again_hide_nothing(
    settings: Settings, market: Client, sql: Cursor
) -> None:
    epoch = int(market.get(keys.EPOCH))
    for number in (1, 2, 3):
        predict(market, "user-1", f"k{number}", entry_id=f"1000-{number}")
    drain(settings)
    market.delete(keys.JOURNAL, keys.tail("user-1"))
    market.set(keys.EPOCH, epoch + 1)
    for number in (4, 5):
        predict(market, "user-1", f"k{number}", entry_id=f"1000-{number - 3}")

    async def listed(limit: int) -> list[str | None]:
        async with running(settings) as process:
            return [each.key for each in await transactions(process, limit=limit)]

    for limit in (1, 2, 50):
        assert asyncio.run(listed(limit)) == ["k5", "k4", "k3", "k2", "k1"]
    drain(settings)
    assert asyncio.run(listed(2)) == ["k5", "k4", "k3", "k2", "k1"]


def test_the_master_is_asked_for_what_the_journal_gave_up(
    settings: Settings, behind: Settings, market: Client, sql: Cursor
) -> None:
    for number in range(10):
        predict(market, "user-1", f"k{number}", entry_id=f"{1000 + number}-0")
    expected = changes_of(market)
    fifth = entries(market)[4].place
    drain(settings)
    assert entries(market) == []
    copy(sql, fifth)

    async def scenario() -> tuple[list[str], object]:
        async with running(behind) as process:
            found = ids(await transactions(process, limit=3))
        nobody = msgspec.structs.replace(behind, sql_master=behind.sql_read)
        async with running(nobody) as process:
            return found, await process.ask("user-1", ListTransactions(1))

    found, refused = asyncio.run(scenario())
    assert found == expected
    assert isinstance(refused, Failure)
    assert refused.code == ErrorCode.UNAVAILABLE


def test_without_sql_a_list_is_unavailable_and_the_loop_goes_on(
    settings: Settings, market: Client, sql: Cursor
) -> None:
    nowhere = msgspec.structs.replace(settings.sql_read, port=free_port())

    async def scenario() -> list[object]:
        async with running(msgspec.structs.replace(settings, sql_read=nowhere)) as process:
            return [await process.ask("user-1", ListTransactions(1)) for _ in range(2)]

    for refused in asyncio.run(scenario()):
        assert isinstance(refused, Failure)
        assert refused.code == ErrorCode.UNAVAILABLE


def test_a_connection_that_sql_closed_is_made_again(settings: Settings, market: Client, sql: Cursor) -> None:
    a_life(market)

    async def scenario() -> None:
        async with running(settings) as process:
            for _ in range(3):
                assert len(await transactions(process)) == len(changes_of(market))
                sql.execute("SELECT id FROM information_schema.processlist WHERE user = 'market_ledger'")
                for (connection,) in sql.fetchall():
                    sql.execute("KILL %s", (connection,))

    asyncio.run(scenario())


@pytest.mark.parametrize("cursor", ["1", "1-2", "1-2-3-4", "--", "9-9-" + "9" * 40])
def test_a_cursor_that_no_page_gave_is_refused(settings: Settings, market: Client, cursor: str) -> None:
    async def scenario() -> list[object]:
        async with running(settings) as process:
            return [
                await process.ask("user-1", ListTransactions(1, cursor)),
                await process.ask("user-1", ListFriendsPredictions(1, "match-1", "winner", cursor)),
            ]

    for refused in asyncio.run(scenario()):
        assert isinstance(refused, Failure)
        assert refused.code == ErrorCode.MALFORMED


@pytest.fixture
def friends(market: Client) -> Client:
    """The user-1 and user-2 are friends, and user-1 and user-3; user-4 and user-5 are so one way only."""
    for one, other in (("1", "2"), ("2", "1"), ("1", "3"), ("3", "1"), ("1", "4"), ("5", "1")):
        market.sadd(keys.friends(f"user-{one}"), f"user-{other}")
    return market


def test_friends_are_those_who_named_each_other(settings: Settings, friends: Client, sql: Cursor) -> None:
    for number in range(1, 6):
        predict(friends, f"user-{number}", "k", option=number % 3)
        predict(friends, f"user-{number}", "other", pool="other")

    async def scenario() -> list[FriendPrediction]:
        async with running(settings) as process:
            return await friends_predictions(process)

    found = asyncio.run(scenario())
    assert [(each.user, each.option, each.stake) for each in found] == [("user-3", 0, 10), ("user-2", 2, 10)]


def test_friends_predictions_meet_at_the_seam_without_cancelled_ones(
    settings: Settings, behind: Settings, friends: Client, sql: Cursor
) -> None:
    for number in range(4):
        predict(friends, "user-2", f"k{number}")
        predict(friends, "user-3", f"k{number}")
        append(friends, "friend", "user-3", body='{"user":"user-9"}')
    cancel(friends, "user-2", "k0")
    cancel(friends, "user-3", "k3")
    predict(friends, "user-2", "k9")
    gone = {("user-2", "k0"), ("user-3", "k3")}
    expected = [
        entry.journal_id
        for entry in reversed(entries(friends))
        if entry.kind == "prediction" and (entry.user, entry.key) not in gone
    ]
    drain(settings)

    async def scenario() -> None:
        async with running(behind) as process:
            for count, place in enumerate(places(friends)):
                copy(sql, place)
                for limit in (1, 2, 100):
                    found = ids(await friends_predictions(process, limit))
                    assert found == expected, (count, limit)

    asyncio.run(scenario())


def test_many_predictions_of_many_friends_come_in_pages(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, behind: Settings, market: Client, sql: Cursor
) -> None:
    monkeypatch.setattr(calls_journal, "LOOKED_AT", 40)
    names = [f"user-{number}" for number in range(2, 14)]
    for name in names:
        market.sadd(keys.friends("user-1"), name)
        market.sadd(keys.friends(name), "user-1")
    for number in range(9):
        for index, name in enumerate(names):
            if (number + index) % 3:
                predict(market, name, f"k{number}")
    expected = [entry.journal_id for entry in reversed(entries(market))]
    drain(settings)

    async def scenario() -> None:
        async with running(behind) as process:
            for count in (0, 30, len(expected)):
                copy(sql, places(market)[count])
                assert ids(await friends_predictions(process, 10)) == expected

    asyncio.run(scenario())


def test_a_pool_that_the_user_may_not_see_is_none(settings: Settings, friends: Client, sql: Cursor) -> None:
    friends.hset(keys.pool("q"), mapping={"game": "match-1", "audience": "friends", "asker": "user-2"})
    predict(friends, "user-2", "k", pool="q")

    async def scenario() -> list[Any]:
        async with running(settings) as process:
            return [
                await process.ask(user, ListFriendsPredictions(1, game, pool))
                for user, game, pool in (
                    ("user-1", "match-1", "q"),
                    ("user-2", "match-1", "q"),
                    ("user-3", "match-1", "q"),
                    ("user-1", "match-1", "none"),
                    ("user-1", "match-2", "winner"),
                )
            ]

    seen, own, *refused = asyncio.run(scenario())
    assert [each.user for each in seen.predictions] == ["user-2"]
    assert own.predictions == []
    assert [each.code for each in refused] == [
        ErrorCode.NO_SUCH_POOL,
        ErrorCode.NO_SUCH_POOL,
        ErrorCode.NO_SUCH_GAME,
    ]


def test_a_client_sees_every_acknowledged_prediction_while_the_ledger_comes_and_goes(
    serve: Serve, start: Start, settings: Settings, market: Client, signer: Any, sql: Cursor
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            await client.ask(JOIN)
            acknowledged: list[str] = []
            for number in range(8):
                placed = await client.ask(prediction(number, stake=1))
                acknowledged.insert(0, placed.journal_id)
                if number == 3:
                    command = start("ledger", settings, "--drain")
                    assert await asyncio.to_thread(command.process.wait, 30) == 0
                listed = await client.ask(ListTransactions(100 + number))
                assert ids(listed.transactions) == acknowledged

    asyncio.run(scenario())
