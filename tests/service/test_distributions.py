"""Who gets a pool's distribution, and how often."""

from __future__ import annotations

import asyncio
import itertools

import msgspec

from market import keys
from market.protocol import (
    Distribution,
    LeaveGame,
    ListGames,
    Placed,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve


def test_only_those_who_joined_get_distributions(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with (
            connected(server.path, signer.issue("user-1", 60)) as placing,
            connected(server.path, signer.issue("user-2", 60)) as joined,
            connected(server.path, signer.issue("user-3", 60)) as left,
            connected(server.path, signer.issue("user-4", 60)) as absent,
        ):
            for client in (placing, joined, left):
                await client.ask(JOIN)
            await left.ask(LeaveGame(2, "match-1"))
            await placing.ask(prediction(3))
            assert await placing.distribution(1) == await joined.distribution(1)
            await left.ask(ListGames(4))
            await absent.ask(ListGames(4))
            assert left.distributions == absent.distributions == []

    asyncio.run(scenario())


def test_four_processes_race_and_each_interval_has_exactly_one_update(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    """At the interval of the real market, so that each process has set a timer for the same moment."""
    interval_ms = 3000
    servers = [serve(msgspec.structs.replace(settings, flush_interval_ms=interval_ms)) for _ in range(4)]

    async def load(index: int, ended: asyncio.Event) -> list[Distribution]:
        async with connected(servers[index].path, signer.issue(f"user-{index}", 60)) as client:
            await client.ask(JOIN)
            number = 0
            while not ended.is_set():
                number += 1
                assert isinstance(await client.ask(prediction(number, stake=1)), Placed)
                await asyncio.sleep(0.02)
            count = int(market.hget(keys.pool("winner"), "predictions") or 0)
            await client.distribution_of(count)
            return client.distributions

    async def scenario() -> list[list[Distribution]]:
        ended = asyncio.Event()
        tasks = [asyncio.ensure_future(load(index, ended)) for index in range(4)]
        await asyncio.sleep(9.5)
        ended.set()
        return await asyncio.gather(*tasks)

    received = asyncio.run(scenario())
    longest = max(received, key=len)
    assert all(distributions == longest[-len(distributions) :] for distributions in received)
    assert [d.offset for d in longest] == list(range(1, len(longest) + 1))
    gaps_ms = [(b.published_us - a.published_us) / 1000 for a, b in itertools.pairwise(longest)]
    assert len(gaps_ms) >= 3
    assert min(gaps_ms) >= interval_ms - 1
    assert max(gaps_ms[:-1]) <= 2 * interval_ms


def test_the_last_change_goes_out_when_the_process_that_made_it_dies(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    slow = msgspec.structs.replace(settings, flush_interval_ms=1500)
    dying, living = serve(slow), serve(slow)

    async def scenario() -> None:
        async with connected(living.path, signer.issue("user-1", 60)) as listener:
            await listener.ask(JOIN)
            async with connected(dying.path, signer.issue("user-2", 60)) as client:
                await client.ask(JOIN)
                await client.ask(prediction(2))
                await listener.distribution(1)
                await client.ask(prediction(3))
                dying.command.process.kill()
                assert (await listener.distribution(2)).predictions == 2

    asyncio.run(scenario())
