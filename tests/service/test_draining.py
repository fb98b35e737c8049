"""A process that ends loses nothing that it acknowledged, and its clients come back spread out."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import msgspec

from market import keys
from market.connection_settings import Limits
from market.protocol import CloseCode, Placed
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve
from tests.service.entries import entries

CLIENTS = 20
ENOUGH = 50
"""Predictions of one client after which the process is told to end, in the midst of all the others'."""
SPREAD_MS = 5000
COME_BACK = re.compile(r"come back in (\d+) ms")


async def place_until_closed(client: Any, keys_of: list[str], enough: asyncio.Event) -> list[Placed]:
    """Send predictions as fast as they are answered, three at a time; those that were."""
    placed: list[Placed] = []

    async def send() -> None:
        number = len(keys_of)
        keys_of.append(f"{id(client)}-{number}")
        if number == ENOUGH:
            enough.set()
        await client.send(prediction(number, stake=1, key=keys_of[-1]))

    async def go() -> None:
        for _ in range(3):
            await send()
        while True:
            reply = await client.reply()
            assert isinstance(reply, Placed)
            placed.append(reply)
            await send()

    going = asyncio.ensure_future(go())
    closed = asyncio.ensure_future(client.socket.wait_closed())
    await asyncio.wait((going, closed), return_when=asyncio.FIRST_COMPLETED)
    await closed
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    while not client._replies.empty():
        placed.append(client._replies.get_nowait())
    return placed


def test_predictions_in_flight_at_sigterm_are_answered_or_can_be_repeated_with_their_key(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    free = Limits(requests_per_user_per_s=0)
    ending = serve(msgspec.structs.replace(settings, drain_spread_ms=SPREAD_MS, limits=free))
    going_on = serve(msgspec.structs.replace(settings, limits=free))
    for number in range(CLIENTS):
        market.hset(keys.account(f"user-{number}"), mapping={"opening": 10**6, "balance": 10**6})

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(ending.path, signer.issue(f"user-{n}", 60)))
                for n in range(CLIENTS)
            ]
            for client in clients:
                await client.ask(JOIN)
            sent: list[list[str]] = [[] for _ in clients]
            enough = asyncio.Event()
            placing = [
                asyncio.ensure_future(place_until_closed(client, names, enough))
                for client, names in zip(clients, sent, strict=True)
            ]
            await asyncio.wait_for(enough.wait(), 20)
            ending.command.process.terminate()
            answered = await asyncio.gather(*placing)
            assert {client.socket.close_code for client in clients} == {CloseCode.GOING_AWAY}
            reasons = [COME_BACK.fullmatch(client.socket.close_reason or "") for client in clients]
            delays_ms = [int(reason[1]) for reason in reasons if reason]
            assert len(delays_ms) == CLIENTS
            assert all(0 <= delay_ms <= SPREAD_MS for delay_ms in delays_ms)
            assert max(delays_ms) - min(delays_ms) > SPREAD_MS / 4

            for number, (names, replies) in enumerate(zip(sent, answered, strict=True)):
                acknowledged = {reply.key: reply for reply in replies}
                async with connected(going_on.path, signer.issue(f"user-{number}", 60)) as client:
                    await client.ask(JOIN)
                    for again, name in enumerate(names):
                        reply = await client.ask(prediction(again, stake=1, key=name))
                        assert isinstance(reply, Placed)
                        if name in acknowledged:
                            assert reply.duplicate
                            assert reply.journal_id == acknowledged[name].journal_id
                balance = int(market.hget(keys.account(f"user-{number}"), "balance"))
                assert balance == 10**6 - len(names)
            total = sum(map(len, sent))
            assert int(market.hget(keys.pool("winner"), "predictions")) == total
            assert sum(entry.kind == "prediction" for entry in entries(market)) == total

    asyncio.run(scenario())
    assert ending.command.process.wait(15) == 0
