"""An API process as its clients see it: requests, tokens, distributions, health and draining."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
import stat
import time
from typing import Any

import msgspec
import pymysql
import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from market import keys, scripts
from market.connection_settings import Limits
from market.protocol import (
    Authenticate,
    Authenticated,
    CloseCode,
    Distribution,
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
    StateLost,
)
from market.seed import seed
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, RedisServer, Serve, end, until


@pytest.fixture(params=["async", "blocking"])
def either(request: pytest.FixtureRequest, settings: Settings, sql: pymysql.cursors.Cursor) -> Settings:
    """Both data paths: they give the same answers."""
    return msgspec.structs.replace(settings, data_path=request.param)


def test_every_request_is_answered(serve: Serve, either: Settings, market: Client, signer: Signer) -> None:
    server = serve(either)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            assert await client.ask(ListGames(1)) == Games(1, [Game("match-1", "Home - Away", "live")])
            assert await client.ask(JoinGame(2, "match-1")) == Joined(2, "match-1", state="new")
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


def test_a_token_may_come_by_message(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path) as client:
            refused = await client.ask(ListGames(1))
            assert (refused.id, refused.code) == (1, ErrorCode.UNAUTHENTICATED)
            answer = await client.ask(Authenticate(2, signer.issue("user-7", 60)))
            assert isinstance(answer, Authenticated)
            assert answer.user == "user-7"
            assert time.time() < answer.expires_at_s <= time.time() + 60
            assert isinstance(await client.ask(ListGames(3)), Games)
            other = await client.ask(Authenticate(4, signer.issue("user-8", 60)))
            assert other.code == ErrorCode.UNAUTHENTICATED
            assert await client.closed() == CloseCode.UNAUTHENTICATED

    asyncio.run(scenario())


def test_a_refused_token_closes_the_connection(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)
    expired = signer.issue("user-7", 60, now_s=int(time.time()) - 120)

    async def scenario() -> None:
        for token in ("nonsense", expired, Signer("x" * 32).issue("user-7", 60)):
            async with connected(server.path) as client:
                error = await client.ask(Authenticate(1, token))
                assert error.code == ErrorCode.UNAUTHENTICATED
                assert await client.closed() == CloseCode.UNAUTHENTICATED
            with pytest.raises(InvalidStatus) as refusal:
                async with connected(server.path, token):
                    pass
            assert refusal.value.response.status_code == 401

    asyncio.run(scenario())


def test_a_token_that_expires_has_to_be_renewed(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(
        msgspec.structs.replace(settings, token_leeway_s=0, limits=Limits(requests_per_user_per_s=0))
    )

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 1)) as client:
            answer = await client.ask(ListGames(1))
            async with asyncio.timeout(10):
                while isinstance(answer, Games):
                    answer = await client.ask(ListGames(1))
            assert answer.code == ErrorCode.UNAUTHENTICATED
            await client.ask(Authenticate(2, signer.issue("user-7", 60)))
            assert isinstance(await client.ask(ListGames(3)), Games)

    asyncio.run(scenario())


def test_who_shows_no_token_in_time_is_closed(serve: Serve, settings: Settings, market: Client) -> None:
    server = serve(msgspec.structs.replace(settings, authenticate_timeout_s=0.5))

    async def scenario() -> None:
        async with connected(server.path) as client:
            assert await client.closed() == CloseCode.UNAUTHENTICATED

    asyncio.run(scenario())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
        slow.settimeout(10)
        slow.connect(str(server.path))
        slow.sendall(b"GET /ws HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""


def test_health_names_what_cannot_be_reached(serve: Serve, settings: Settings, market: Client) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    server = serve(msgspec.structs.replace(settings, redis_master=nowhere), wait=False)
    until(server.path.exists, "the socket")
    status, reason = server.get("/healthz")
    assert status == 503
    assert reason.startswith("redis-master: ")
    assert server.get("/elsewhere")[0] == 404


def test_a_handshake_does_not_wait_for_the_data(serve: Serve, settings: Settings, signer: Signer) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    server = serve(msgspec.structs.replace(settings, redis_master=nowhere, redis_read=nowhere), wait=False)
    until(server.path.exists, "the socket")

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-7", 60)) as client:
            error = await client.ask(ListGames(1))
            assert (error.id, error.code) == (1, ErrorCode.UNAVAILABLE)
            error = await client.ask(JoinGame(2, "match-1"))
            assert (error.id, error.code) == (2, ErrorCode.UNAVAILABLE)

    asyncio.run(scenario())


def test_the_socket_takes_the_place_of_a_stale_one_and_anybody_may_connect(
    serve: Serve, settings: Settings, market: Client
) -> None:
    first = serve(settings)
    first.command.process.kill()
    first.command.process.wait()
    assert first.path.is_socket()
    command = first.command
    second = serve(settings)
    second.path.rename(first.path)
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o666
    assert command.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("protocols", [None, ["market.v0"]])
def test_another_protocol_is_not_spoken(
    serve: Serve, settings: Settings, market: Client, protocols: list[str] | None
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        with pytest.raises(InvalidStatus) as refusal:
            await unix_connect(
                str(server.path),
                "ws://market/ws",
                subprotocols=[Subprotocol(name) for name in protocols] if protocols else None,
            )
        assert refusal.value.response.status_code == 400

    asyncio.run(scenario())


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
                while not isinstance(push := await client.push(number), StateLost):
                    number += 1
                assert push.pools[0].totals == [20, 0, 0], "what started again may have lost writes"

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


def test_sigterm_sends_clients_away_and_ends_with_0(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(connected(server.path, signer.issue(f"user-{n}", 60)))
                for n in range(70)
            ]
            for client in clients:
                await client.ask(JOIN)
            for number, client in enumerate(clients):
                await client.send(prediction(number))
            replies = await asyncio.gather(*(client.reply() for client in clients))
            assert all(isinstance(reply, Placed) for reply in replies)
            server.command.process.terminate()
            assert {await client.closed() for client in clients} == {CloseCode.GOING_AWAY}

    asyncio.run(scenario())
    assert server.command.process.wait(10) == 0
    assert not server.path.exists()


def test_a_client_that_does_not_answer_does_not_hold_up_the_end(
    serve: Serve, settings: Settings, market: Client
) -> None:
    server = serve(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.connect(str(server.path))
        assert end(server.command.process) == 0
