"""An API process as its clients see it: requests, tokens, distributions, health and draining."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pymysql
import pytest

from market import keys, scripts
from market.protocol import (
    Authenticate,
    Error,
    ErrorCode,
    Game,
    Games,
    Joined,
    JoinGame,
    LeaveGame,
    Left,
    ListGames,
    ListPools,
    Placed,
    Pool,
    Pools,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, RedisServer, Serve


@pytest.fixture(params=["async", "blocking"])
def either(request: pytest.FixtureRequest, settings: Settings, sql: pymysql.cursors.Cursor) -> Settings:
    """Both data paths: they give the same answers."""
    return msgspec.structs.replace(settings, data_path=request.param)


def test_every_request_is_answered(serve: Serve, either: Settings, market: Client, signer: Signer) -> None:
    server = serve(either)
    epoch = int(market.get(keys.EPOCH))

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            assert await client.ask(ListGames(1)) == Games(1, [Game("match-1", "Home - Away", "live")])
            assert await client.ask(JoinGame(2, "match-1")) == Joined(2, "match-1", epoch, 0, "new")
            pools = await client.ask(ListPools(3, "match-1"))
            options = ["home", "draw", "away"]
            untouched = Pool("winner", "Who wins the match?", "open", options, [0, 0, 0], 0, 0, 0)
            assert pools == Pools(3, "match-1", [untouched])

            placed = await client.ask(prediction(4, option=1, stake=300))
            assert isinstance(placed, Placed)
            assert (placed.id, placed.pool, placed.key, placed.balance) == (4, "winner", "k4", 700)
            assert not placed.duplicate
            again = await client.ask(prediction(4, option=1, stake=300))
            assert again == msgspec.structs.replace(placed, duplicate=True)

            sent = await client.distribution(1)
            assert (sent.totals, sent.predictions, sent.offset) == ([0, 300, 0], 1, 1)
            assert sent.epoch == placed.epoch
            (pool,) = (await client.ask(ListPools(5, "match-1"))).pools
            assert (pool.totals, pool.predictions, pool.epoch, pool.offset) == (
                [0, 300, 0],
                1,
                placed.epoch,
                1,
            )
            assert await client.ask(LeaveGame(6, "match-1")) == Left(6, "match-1")

    asyncio.run(scenario())


REFUSALS = [
    (JoinGame(9, "match-2"), ErrorCode.NO_SUCH_GAME),
    (ListPools(9, "match-2"), ErrorCode.NO_SUCH_GAME),
    (LeaveGame(9, "match-2"), ErrorCode.NOT_JOINED),
    (prediction(9, game="match-2"), ErrorCode.NOT_JOINED),
    (prediction(9, pool="loser"), ErrorCode.NO_SUCH_POOL),
    (prediction(9, option=3), ErrorCode.NO_SUCH_OPTION),
    (prediction(9, stake=1001), ErrorCode.INSUFFICIENT_FUNDS),
    (prediction(9, key="used"), ErrorCode.KEY_REUSED),
    (Authenticate(9, "a.b.c"), ErrorCode.UNAUTHENTICATED),
]


def test_every_refusal_has_its_number(serve: Serve, either: Settings, market: Client, signer: Signer) -> None:
    server = serve(either)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            await client.ask(prediction(2, key="used", stake=1))
            for request, code in REFUSALS:
                error = await client.ask(request)
                assert isinstance(error, Error), request
                assert (error.id, error.code) == (9, code), request
                assert error.message
        async with connected(server.path, signer.issue("stranger", 60)) as client:
            await client.ask(JOIN)
            error = await client.ask(prediction(9))
            assert error.code == ErrorCode.NO_SUCH_ACCOUNT
        market.hset(keys.pool("winner"), "status", "closed")
        async with connected(server.path, signer.issue("user-8", 60)) as client:
            await client.ask(JOIN)
            error = await client.ask(prediction(9))
            assert error.code == ErrorCode.POOL_CLOSED

    asyncio.run(scenario())


def test_the_blocking_path_writes_the_row_before_it_answers_and_the_ledger_keeps_it_single(
    serve: Serve,
    start: Any,
    settings: Settings,
    market: Client,
    signer: Signer,
    sql: pymysql.cursors.Cursor,
) -> None:
    server = serve(msgspec.structs.replace(settings, data_path="blocking"))

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            for number in range(20):
                placed = await client.ask(prediction(number))
                sql.execute("SELECT epoch, CONCAT(journal_ms, '-', journal_seq) FROM predictions WHERE"
                            " idempotency_key = %s", (f"k{number}",))  # fmt: skip
                assert sql.fetchall() == ((placed.epoch, placed.journal_id),)

    asyncio.run(scenario())
    assert start("ledger", settings, "--drain").process.wait(30) == 0
    sql.execute("SELECT COUNT(*), SUM(stake) FROM predictions")
    assert sql.fetchone() == (20, 200)


def test_the_api_does_not_touch_sql_on_the_async_path(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    nowhere = msgspec.structs.replace(settings.sql_master, port=1)
    server = serve(msgspec.structs.replace(settings, sql_master=nowhere, sql_read=nowhere))

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            assert isinstance(await client.ask(prediction(2)), Placed)

    asyncio.run(scenario())


def test_reads_and_distributions_come_from_the_replica(
    serve: Serve, settings: Settings, market: Client, replica: RedisServer, signer: Signer
) -> None:
    near = msgspec.structs.replace(settings.redis_read, port=replica.port)
    server = serve(msgspec.structs.replace(settings, redis_read=near))
    market.wait(1, 5000)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            assert isinstance(await client.ask(JOIN), Joined)
            await client.ask(prediction(2, stake=5))
            assert (await client.distribution(1)).totals == [5, 0, 0]
            (pool,) = (await client.ask(ListPools(3, "match-1"))).pools
            assert pool.totals == [5, 0, 0]
        market.config_resetstat()
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(ListGames(1))
            await client.ask(JOIN)
            await client.ask(ListPools(3, "match-1"))
        stats: Any = market.info("commandstats")
        assert not {"cmdstat_hvals", "cmdstat_hexists", "cmdstat_evalsha_ro"} & stats.keys()

    asyncio.run(scenario())


def test_a_prediction_takes_one_command_at_the_master(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(msgspec.structs.replace(settings, flush_interval_ms=60_000))

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            await client.ask(prediction(0))
            await client.distribution(1)
            market.slowlog_reset()
            market.config_set("slowlog-max-len", 2000)
            market.config_set("slowlog-log-slower-than", 0)
            try:
                for number in range(1, 21):
                    await client.ask(prediction(number))
                entries: Any = market.slowlog_get(2000)
            finally:
                market.config_set("slowlog-log-slower-than", 10_000)
        commands = [entry["command"].split()[:2] for entry in entries]
        assert commands.count([b"EVALSHA", scripts.PLACE.sha.encode()]) == 20
        # The rest is of the process's own timers, however many predictions there are.
        assert sum(command[0] == b"EVALSHA" for command in commands) <= 25

    asyncio.run(scenario())


def test_a_script_that_redis_forgot_is_sent_again(
    serve: Serve, either: Settings, market: Client, signer: Signer
) -> None:
    server = serve(either)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            market.script_flush()
            assert isinstance(await client.ask(ListPools(2, "match-1")), Pools)
            assert isinstance(await client.ask(prediction(3)), Placed)
            assert (await client.distribution(1)).totals == [10, 0, 0]

    asyncio.run(scenario())


def test_a_list_longer_than_the_queue_and_what_is_asked_behind_it_arrive(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(msgspec.structs.replace(settings, max_send_queue_bytes=65_536))
    pipeline = market.pipeline(transaction=False)
    for number in range(250):
        pool = {"game": "match-1", "question": "?" * 2000, "status": "open", "options": '["a","b"]'}
        counted = {"options_count": 2, "predictions": 0, "total:0": 0, "total:1": 0}
        pipeline.hset(keys.pool(f"p{number}"), mapping=pool | counted)
        pipeline.zadd(keys.pools("match-1"), {f"p{number}": number})
    pipeline.execute()

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            for request in (ListPools(1, "match-1"), ListGames(2), ListGames(3)):
                await client.send(request)
            answers = [await client.reply() for _ in range(3)]
            assert sorted(answer.id for answer in answers) == [1, 2, 3]
            assert max(len(getattr(answer, "pools", ())) for answer in answers) == 251

    asyncio.run(scenario())
