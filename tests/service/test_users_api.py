"""What users do with money and with each other, through a running API process."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import msgspec
import pymysql
import pytest

from market import keys, limits
from market.calls import questions
from market.protocol import (
    Accepted,
    Account,
    AddFriend,
    Asked,
    AskQuestion,
    Cancelled,
    CancelOrder,
    CancelPrediction,
    Condition,
    Deposit,
    Deposited,
    Error,
    ErrorCode,
    Friends,
    GetAccount,
    ListFriends,
    ListOrders,
    ListPools,
    Order,
    OrderCancelled,
    Ordered,
    Orders,
    Placed,
    PlaceOrder,
    Pools,
    RemoveFriend,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, end

AT_LEAST_HALF = Condition(0, 500, "at_least")


@pytest.fixture(params=["async", "blocking"])
def either(request: pytest.FixtureRequest, settings: Settings, sql: pymysql.cursors.Cursor) -> Settings:
    """Both data paths: they give the same answers."""
    return msgspec.structs.replace(settings, data_path=request.param)


def code_of(reply: object) -> ErrorCode:
    assert isinstance(reply, Error), reply
    assert reply.message
    return ErrorCode(reply.code)


def test_money_goes_in_and_predictions_are_taken_back(
    serve: Serve, either: Settings, market: Client, signer: Signer
) -> None:
    server = serve(either)
    cancel = CancelPrediction(6, "match-1", "winner", "k5")

    async def scenario() -> None:
        async with connected(server.path, signer.issue("newcomer", 60, scopes=["bank"])) as client:
            assert code_of(await client.ask(GetAccount(1))) is ErrorCode.NO_SUCH_ACCOUNT
            deposited = await client.ask(Deposit(2, 500, "d1"))
            assert isinstance(deposited, Deposited)
            assert (deposited.id, deposited.key, deposited.balance, deposited.duplicate) == (
                2,
                "d1",
                500,
                False,
            )
            again = await client.ask(Deposit(3, 500, "d1"))
            assert again == msgspec.structs.replace(deposited, id=3, duplicate=True)
            assert code_of(await client.ask(Deposit(4, 501, "d1"))) is ErrorCode.KEY_REUSED
            await client.ask(JOIN)
            assert isinstance(await client.ask(prediction(5, stake=120)), Placed)
            assert (await client.distribution_of(1)).totals == [120, 0, 0]
            cancelled = await client.ask(cancel)
            assert isinstance(cancelled, Cancelled)
            assert (cancelled.pool, cancelled.key, cancelled.balance) == ("winner", "k5", 500)
            assert (await client.distribution(2)).totals == [0, 0, 0]
            again = await client.ask(cancel)
            assert again == msgspec.structs.replace(cancelled, duplicate=True)
            assert await client.ask(GetAccount(7)) == Account(7, "newcomer", 500)
            other = CancelPrediction(8, "match-1", "winner", "k6")
            assert code_of(await client.ask(other)) is ErrorCode.NO_SUCH_PREDICTION
            await client.ask(prediction(9))
            market.hset(keys.pool("winner"), "status", "closed")
            late = CancelPrediction(10, "match-1", "winner", "k9")
            assert code_of(await client.ask(late)) is ErrorCode.POOL_CLOSED

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("deposits", "scopes", "may"),
    [("bank", [], False), ("bank", ["feed"], False), ("bank", ["admin"], True), ("self", [], True)],
)
def test_only_the_bank_makes_money_unless_it_is_play_money(
    serve: Serve,
    settings: Settings,
    market: Client,
    signer: Signer,
    deposits: Any,
    scopes: list[str],
    may: bool,
) -> None:
    server = serve(msgspec.structs.replace(settings, deposits=deposits))
    token = signer.issue("newcomer", 60, scopes=scopes)

    async def scenario() -> None:
        async with connected(server.path, token) as client:
            reply = await client.ask(Deposit(1, 500, "d1"))
            assert isinstance(reply, Deposited) if may else code_of(reply) is ErrorCode.NOT_ALLOWED

    asyncio.run(scenario())
    assert market.exists(keys.account("newcomer")) == may


def test_friends_share_questions_that_nobody_else_sees(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)
    pool = questions.pool_of("user-1", "q1")
    question = AskQuestion(4, "match-1", "Who scores?", ["Ann", "Bo"], "q1", "friends")

    async def scenario() -> None:
        async with (
            connected(server.path, signer.issue("user-1", 60)) as asker,
            connected(server.path, signer.issue("user-2", 60)) as friend,
            connected(server.path, signer.issue("user-3", 60)) as stranger,
        ):
            assert await asker.ask(AddFriend(1, "user-2")) == Accepted(1, duplicate=False)
            assert await asker.ask(AddFriend(2, "user-2")) == Accepted(2, duplicate=True)
            assert code_of(await asker.ask(AddFriend(3, "user-1"))) is ErrorCode.CONFLICT
            await friend.ask(AddFriend(1, "user-1"))
            assert await friend.ask(ListFriends(2)) == Friends(2, ["user-1"], ["user-1"])

            assert await asker.ask(question) == Asked(4, "match-1", pool, duplicate=False)
            assert await asker.ask(question) == Asked(4, "match-1", pool, duplicate=True)
            lost = msgspec.structs.replace(question, game="match-2", key="q2")
            assert code_of(await asker.ask(lost)) is ErrorCode.NO_SUCH_GAME

            for client in (friend, stranger):
                await client.ask(JOIN)
            assert isinstance(await friend.ask(prediction(5, pool=pool)), Placed)
            assert code_of(await stranger.ask(prediction(5, pool=pool))) is ErrorCode.NOT_ALLOWED
            names = []
            for client in (asker, friend, stranger):
                listed = await client.ask(ListPools(6, "match-1"))
                assert isinstance(listed, Pools)
                names.append([shown.id for shown in listed.pools])
            assert names == [["winner", pool], ["winner", pool], ["winner"]]
            await stranger.ask(prediction(7))
            assert (await stranger.distribution(1)).pool == "winner"

            assert await asker.ask(RemoveFriend(8, "user-2")) == Accepted(8, duplicate=False)
            assert await asker.ask(ListFriends(9)) == Friends(9, [], [])
            assert code_of(await friend.ask(prediction(10, pool=pool))) is ErrorCode.NOT_ALLOWED

    asyncio.run(scenario())


def test_standing_orders_are_kept_listed_withdrawn_and_carried_out(
    serve: Serve, either: Settings, market: Client, signer: Signer
) -> None:
    server = serve(either)
    order = Order("o1", "match-1", "winner", 1, 40, AT_LEAST_HALF)
    placing = PlaceOrder(1, "match-1", "winner", 1, 40, "o1", AT_LEAST_HALF)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            assert await client.ask(placing) == Ordered(1, order, duplicate=False)
            assert await client.ask(placing) == Ordered(1, order, duplicate=True)
            second = msgspec.structs.replace(placing, key="o2")
            await client.ask(second)
            assert await client.ask(CancelOrder(3, "winner", "o2")) == OrderCancelled(3, "winner", "o2")
            assert await client.ask(CancelOrder(3, "winner", "o2")) == OrderCancelled(3, "winner", "o2")
            assert code_of(await client.ask(CancelOrder(4, "winner", "o3"))) is ErrorCode.NO_SUCH_ORDER
            wrong = msgspec.structs.replace(placing, key="o4", option=3)
            assert code_of(await client.ask(wrong)) is ErrorCode.NO_SUCH_OPTION
            assert await client.ask(ListOrders(5, "match-1")) == Orders(5, "match-1", [order])
            assert await client.ask(ListOrders(6, "match-2")) == Orders(6, "match-2", [])
            await client.ask(JOIN)
            await client.ask(prediction(7, stake=60))
            assert (await client.distribution_of(2)).totals == [60, 40, 0]
            assert await client.ask(ListOrders(8, "match-1")) == Orders(8, "match-1", [])
            assert await client.ask(GetAccount(9)) == Account(9, "user-1", 900)
            met = msgspec.structs.replace(placing, key="o5", stake=5)
            assert isinstance(await client.ask(met), Ordered)
            assert (await client.distribution_of(3)).totals == [60, 45, 0]

    asyncio.run(scenario())


def test_orders_are_carried_out_soon_though_the_process_that_took_them_died(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    """More than one batch of them, so that the survivor goes on by itself."""
    mortal, survivor = serve(settings), serve(settings)
    users = [f"user-{number}" for number in range(10, 11 + limits.ORDERS_BATCH)]
    placing = PlaceOrder(1, "match-1", "winner", 1, 1, "o1", AT_LEAST_HALF)

    async def scenario() -> None:
        for user in users:
            async with connected(mortal.path, signer.issue(user, 60)) as client:
                assert isinstance(await client.ask(placing), Ordered)
        async with (
            connected(mortal.path, signer.issue("user-1", 60)) as dying,
            connected(survivor.path, signer.issue("user-2", 60)) as client,
        ):
            await dying.ask(JOIN)
            await client.ask(JOIN)
            market.hset(keys.pool("winner"), "flushed_ms", int(market.time()[0] * 1000))
            await dying.ask(prediction(1, stake=500))
            mortal.command.process.send_signal(signal.SIGKILL)
            end(mortal.command.process)
            assert (await client.distribution_of(1 + len(users))).totals == [500, len(users), 0]
        assert market.keys(f"{keys.ORDERS}*") == []

    asyncio.run(scenario())
