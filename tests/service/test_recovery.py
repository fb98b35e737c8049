"""Coming back: what was missed, in order, once, or a snapshot and the word that the state was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from market import keys, scripts
from market.protocol import (
    Distribution,
    Games,
    GetPresence,
    Joined,
    JoinGame,
    ListGames,
    Position,
    Presence,
    StateLost,
    decode_push,
    encode,
)
from market.settings import RedisEndpoint, Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected
from tests.service.client import Client as User
from tests.service.conftest import Client, RedisServer, Serve, Server, until


@pytest.fixture
def channel(market: Client) -> Client:
    """A market whose distributions are published by the test alone."""
    market.script_load(scripts.FLUSH.text)
    return market


@pytest.fixture
def epoch(channel: Client) -> int:
    return int(channel.get(keys.EPOCH))


def publish(channel: Client, count: int) -> None:
    """Publish so many distributions, one after the other."""
    for _ in range(count):
        channel.hset(keys.pool("winner"), mapping={"flushed_ms": 0, "due_ms": 1})
        channel.execute_command(*scripts.flush("winner", 100))


@contextlib.asynccontextmanager
async def two_users(server: Server, signer: Signer) -> AsyncIterator[tuple[User, User]]:
    """Users of one process."""
    async with (
        connected(server.path, signer.issue("user-1", 60)) as one,
        connected(server.path, signer.issue("user-2", 60)) as other,
    ):
        yield one, other


async def received(user: User, until_offset: int) -> list[int]:
    """The offsets of all pushes, once the one named is there."""
    number = 1
    while (await user.push(number)).offset < until_offset:
        number += 1
    return [push.offset for push in user.pushes]


def test_who_joins_is_told_where_the_game_stands(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 3)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            assert await user.ask(JOIN) == Joined(1, "match-1", epoch, 3, "new")
            publish(channel, 2)
            assert await received(user, 5) == [4, 5]

    asyncio.run(scenario())


def test_who_comes_back_gets_what_was_missed_in_order_from_any_process(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    servers = [serve(settings), serve(settings)]
    token = signer.issue("user-1", 60)

    async def scenario() -> None:
        async with connected(servers[0].path, token) as user:
            await user.ask(JOIN)
            publish(channel, 2)
            assert await received(user, 2) == [1, 2]
        publish(channel, 5)
        for server in servers:
            async with connected(server.path, token) as user:
                back = await user.ask(JoinGame(1, "match-1", Position(epoch, 2)))
                assert back == Joined(1, "match-1", epoch, 7, "recovered")
                assert await received(user, 7) == [3, 4, 5, 6, 7]
        publish(channel, 1)
        async with connected(servers[0].path, token) as user:
            assert (await user.ask(JoinGame(1, "match-1", Position(epoch, 8)))).state == "recovered"
            publish(channel, 1)
            assert await received(user, 9) == [9]

    asyncio.run(scenario())


@pytest.mark.parametrize(("epochs_ago", "offset"), [(1, 40), (0, 3)])
def test_who_was_away_for_too_long_gets_a_snapshot_and_is_told(
    serve: Serve,
    settings: Settings,
    channel: Client,
    signer: Signer,
    epoch: int,
    epochs_ago: int,
    offset: int,
) -> None:
    server = serve(settings)
    publish(channel, scripts.HISTORY_LENGTH + 10)
    last = scripts.HISTORY_LENGTH + 10

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            back = await user.ask(JoinGame(1, "match-1", Position(epoch - epochs_ago, offset)))
            assert (back.state, back.epoch, back.offset) == ("lost", epoch, last)
            assert [(pool.id, pool.offset) for pool in back.pools] == [("winner", last)]
            publish(channel, 1)
            assert await received(user, last + 1) == [last + 1]

    asyncio.run(scenario())


def test_a_position_ahead_of_the_replica_is_waited_for(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 1)

    async def scenario() -> None:
        async with two_users(server, signer) as (ahead, other):
            await ahead.send(JoinGame(1, "match-1", Position(epoch, 2)))
            assert (await other.ask(JOIN)).offset == 1
            publish(channel, 2)
            assert (await ahead.reply()).state == "recovered"
            assert await received(ahead, 3) == [3]

    asyncio.run(scenario())


def test_a_position_in_an_epoch_that_the_replica_has_not_heard_of_is_waited_for(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 1)

    async def scenario() -> None:
        async with two_users(server, signer) as (ahead, other):
            await ahead.send(JoinGame(1, "match-1", Position(epoch + 1, 1)))
            assert (await other.ask(JOIN)).epoch == epoch
            channel.set(keys.EPOCH, epoch + 1)
            publish(channel, 1)
            back = await ahead.reply()
            assert (back.state, back.epoch, back.offset) == ("recovered", epoch + 1, 1)

    asyncio.run(scenario())


def test_a_replica_that_catches_up_without_a_push_is_noticed(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 1)

    async def scenario() -> None:
        async with two_users(server, signer) as (ahead, other):
            assert (await other.ask(JOIN)).offset == 1
            await ahead.send(JoinGame(1, "match-1", Position(epoch, 2)))
            assert isinstance(await ahead.ask(ListGames(2)), Games), "the first request still waits"
            second = decode_push(channel.lindex(keys.history("match-1"), -1))
            channel.rpush(keys.history("match-1"), encode(msgspec.structs.replace(second, offset=2)))
            channel.hset(keys.position("match-1"), "offset", 2)
            back = await ahead.reply()
            assert (back.state, back.offset) == ("recovered", 2)

    asyncio.run(scenario())


def test_a_replica_that_is_far_behind_takes_nothing_back(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 1)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            await user.ask(JOIN)
            channel.set(keys.EPOCH, epoch - 1)
            channel.config_resetstat()
            channel.client_kill_filter(_type="pubsub")
            read = "cmdstat_evalsha_ro"
            await asyncio.to_thread(until, lambda: read in channel.info("commandstats"), "it is read again")
            channel.set(keys.EPOCH, epoch)
            publish(channel, 1)
            assert await received(user, 2) == [2]

    asyncio.run(scenario())


def test_pushes_that_were_missed_while_redis_was_away_are_sent_when_it_is_back(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int, replica: RedisServer
) -> None:
    read = RedisEndpoint("127.0.0.1", replica.port, settings.redis_read.password_file)
    with contextlib.closing(replica.client()) as client:
        until(lambda: client.get(keys.EPOCH) == str(epoch).encode(), "the replica to have the market")
    server = serve(msgspec.structs.replace(settings, redis_read=read))

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            await user.ask(JOIN)
            publish(channel, 2)
            assert await received(user, 2) == [1, 2]
            with contextlib.closing(replica.client()) as client:
                client.client_kill_filter(_type="pubsub")
            publish(channel, 3)
            assert await received(user, 5) == [1, 2, 3, 4, 5]

    asyncio.run(scenario())


def test_what_cannot_be_had_again_is_replaced_by_a_snapshot(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with (
            connected(server.path, signer.issue("user-1", 60)) as user,
            connected(server.path, signer.issue("user-2", 60), subprotocol="market.v1") as old,
        ):
            await user.ask(JOIN)
            await old.ask(JOIN)
            publish(channel, 2)
            channel.set(keys.EPOCH, epoch + 1)
            publish(channel, 2)
            third = await user.push(3)
            assert isinstance(third, StateLost)
            assert third.epoch == epoch + 1
            assert [pool.id for pool in third.pools] == ["winner"]
            publish(channel, 1)
            assert (await received(user, 3))[-1] == 3
            positions = [(push.epoch, push.offset) for push in user.pushes]
            assert positions == sorted(set(positions))
            assert (await received(old, 3))[-1] == 3
            assert all(isinstance(push, Distribution) for push in old.pushes)
            assert (epoch + 1, 2) in {(push.epoch, push.offset) for push in old.pushes}, (
                "in the snapshot's place"
            )

    asyncio.run(scenario())


def test_who_joins_after_a_restart_gets_the_first_push_of_the_new_epoch(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    publish(channel, 2)
    channel.set(keys.EPOCH, epoch + 1)
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as user:
            assert await user.ask(JOIN) == Joined(1, "match-1", epoch + 1, 0, "new")
            publish(channel, 1)
            assert isinstance(await user.push(1), Distribution)

    asyncio.run(scenario())


def test_a_storm_of_those_who_come_back_asks_redis_once(
    serve: Serve, settings: Settings, channel: Client, signer: Signer, epoch: int
) -> None:
    server = serve(settings)
    publish(channel, 5)
    calls = "cmdstat_evalsha_ro"

    async def back(number: int, since: Position) -> tuple[str, list[int]]:
        async with connected(server.path, signer.issue(f"user-{number}", 60)) as user:
            joined = await user.ask(JoinGame(1, "match-1", since))
            return joined.state, await received(user, 5) if joined.state == "recovered" else []

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-0", 60)) as user:
            await user.ask(JOIN)
            channel.config_resetstat()
            recovered = await asyncio.gather(*(back(n, Position(epoch, 2)) for n in range(50)))
            assert recovered == [("recovered", [3, 4, 5])] * 50
            assert calls not in channel.info("commandstats")
            lost = await asyncio.gather(*(back(n, Position(1, 1)) for n in range(50)))
            assert lost == [("lost", [])] * 50
            assert channel.info("commandstats")[calls]["calls"] < 50

    asyncio.run(scenario())


def test_presence_counts_the_connections_of_all_processes(
    serve: Serve, settings: Settings, channel: Client, signer: Signer
) -> None:
    servers = [serve(settings), serve(settings)]
    token = signer.issue("user-1", 60)

    async def scenario() -> None:
        async with connected(servers[0].path, token) as one, connected(servers[1].path, token) as two:
            await one.ask(JOIN)
            await two.ask(JOIN)
            await asyncio.to_thread(until, lambda: channel.hlen(keys.presence("match-1")) == 2, "both notes")
            assert await one.ask(GetPresence(2, "match-1")) == Presence(2, "match-1", 2)
            assert (await two.ask(GetPresence(3, "match-9"))).code == 4040

    asyncio.run(scenario())
