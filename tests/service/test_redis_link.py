"""A link to Redis over a long way: what it says first may take longer than to reach the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from market import redis_link
from market.redis_link import CommandLink
from market.settings import RedisEndpoint
from market.standby_link import GREET_LIMIT_S, GREET_TIMEOUT_S, StandbyLink


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[RedisEndpoint, asyncio.Queue[bytes]]]:
    """A server that answers nothing, and what is said to it first; at the end it was left."""
    said: asyncio.Queue[bytes] = asyncio.Queue()
    ended = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.put_nowait(await reader.read(100))
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield RedisEndpoint("127.0.0.1", server.sockets[0].getsockname()[1], "unread"), said
        await asyncio.wait_for(ended.wait(), 20)


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
        async with listening() as (endpoint, said):
            link = Slow("slow", endpoint, "")
            link.start()
            # A link that is ready and has nothing to do says PING.
            assert b"PING" in await asyncio.wait_for(said.get(), 20)
            await link.stop()

    asyncio.run(scenario())


class Stopped(CommandLink):
    """It is told to stop with the last word of its greeting."""

    stopping: asyncio.Queue[asyncio.Task[None]]

    async def _greet(self) -> None:
        self.stopping.put_nowait(asyncio.create_task(self.stop()))


def test_a_link_that_is_stopped_as_it_becomes_ready_ends() -> None:
    async def scenario() -> None:
        async with listening() as (endpoint, _):
            link = Stopped("stopped", endpoint, "")
            link.stopping = asyncio.Queue()
            link.start()
            async with asyncio.timeout(20):
                await (await link.stopping.get())
            assert link.problem() == "stopped: stopped"

    asyncio.run(scenario())


def test_a_link_that_misses_a_standby_may_take_longer_than_others() -> None:
    assert StandbyLink.greet_timeout_s == GREET_TIMEOUT_S > GREET_LIMIT_S > CommandLink.greet_timeout_s
