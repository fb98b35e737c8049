"""What an API process does while it has no Redis."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import msgspec
import pymysql

from market.protocol import Distribution, ErrorCode, Placed, StateLost
from market.seed import seed
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, RedisServer, Serve, until


def totals(push: StateLost | Distribution) -> list[int]:
    return push.pools[0].totals if isinstance(push, StateLost) else push.totals


def test_a_lost_redis_fails_requests_and_comes_back(
    serve: Serve,
    settings: Settings,
    directory: Any,
    sql: pymysql.cursors.Cursor,
    signer: Signer,
    master: RedisServer,
) -> None:
    own = RedisServer(directory / f"redis-{time.monotonic_ns()}", master.password)
    endpoint = msgspec.structs.replace(settings.redis_master, port=own.port)
    alone = msgspec.structs.replace(settings, redis_master=endpoint, redis_read=endpoint)
    own.start()
    try:
        seed(alone, users=10, balance=1000)
        server = serve(alone)

        async def scenario() -> None:
            async with connected(server.path, signer.issue("user-7", 60)) as client:
                await client.ask(JOIN)
                assert isinstance(await client.ask(prediction(2)), Placed)
                await asyncio.to_thread(own.stop)
                error = await client.ask(prediction(3))
                assert error.code == ErrorCode.UNAVAILABLE
                assert (await asyncio.to_thread(server.get, "/healthz"))[0] == 503
                await asyncio.to_thread(own.start)
                await asyncio.to_thread(until, server.healthy, "redis to be back")
                placed = await client.ask(prediction(3))
                assert isinstance(placed, Placed)
                assert placed.balance == 980
                number = 1
                while totals(await client.push(number)) != [20, 0, 0]:
                    number += 1
                lost = [push for push in client.pushes if isinstance(push, StateLost)]
                assert lost, "what started again may have lost writes"

        asyncio.run(scenario())
    finally:
        own.stop()


def test_a_frozen_redis_is_given_up_after_a_bounded_time(
    serve: Serve, settings: Settings, market: Client, signer: Signer, master: RedisServer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            await client.ask(JOIN)
            assert master.process is not None
            master.process.send_signal(signal.SIGSTOP)
            try:
                error = await client.ask(prediction(2))
                assert error.code == ErrorCode.UNAVAILABLE
            finally:
                master.process.send_signal(signal.SIGCONT)
            await asyncio.to_thread(until, server.healthy, "redis to be back")
            assert isinstance(await client.ask(prediction(2)), Placed)

    asyncio.run(scenario())
