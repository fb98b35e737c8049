"""A link to Redis over a long way: what it says first may take longer than to reach the server."""

from __future__ import annotations

import asyncio

import pytest

from market import redis_link
from market.redis_link import CommandLink
from market.settings import RedisEndpoint
from market.standby_link import GREET_LIMIT_S, GREET_TIMEOUT_S, StandbyLink


class Slow(CommandLink):
    """Its greeting goes on after the time for a connection is over."""

    greet_timeout_s = 30.0

    async def _greet(self) -> None:
        over = asyncio.Event()
        self._loop.call_later(4 * redis_link.CONNECT_TIMEOUT_S, over.set)
        await over.wait()


def test_the_greeting_has_a_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "CONNECT_TIMEOUT_S", 0.1)

    async def scenario() -> None:
        said: asyncio.Queue[bytes] = asyncio.Queue()
        ended = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.put_nowait(await reader.read(100))
            await reader.read()
            writer.close()
            ended.set()

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            link = Slow("slow", RedisEndpoint("127.0.0.1", server.sockets[0].getsockname()[1], "unread"), "")
            link.start()
            # A link that is ready and has nothing to do says PING.
            assert b"PING" in await asyncio.wait_for(said.get(), 20)
            await link.stop()
            await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(scenario())


def test_a_link_that_misses_a_standby_may_take_longer_than_others() -> None:
    assert StandbyLink.greet_timeout_s == GREET_TIMEOUT_S > GREET_LIMIT_S > CommandLink.greet_timeout_s
