"""A rolling upgrade: servers and clients of both versions of the protocol side by side on one Redis."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from market import administration
from market.protocol import SUBPROTOCOLS, Distribution, JoinGame, PoolChanged, Position
from market.seed import seed
from market.settings import SettingsError, load
from market.tokens import load_signer
from tests.service.administering import BY, pool
from tests.service.asking import granted
from tests.service.client import JOIN, connected, prediction
from tests.service.client import Client as User
from tests.service.conftest import Client, RedisServer, Server
from tests.service.shared_api import running_api, settings_without_sql

OLD: Final = ("market.v1",)
NEW: Final = SUBPROTOCOLS
"""What a client asks for: a new one falls back to the version of an old server."""


Servers = tuple[Server, Server]
"""One that is not upgraded yet, and one that is."""


@pytest.fixture(scope="module")
def servers(
    directory: Path, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Servers]:
    after = settings_without_sql(master, password_file, token_key_file, flush_interval_ms=100)
    before = msgspec.structs.replace(after, protocols=OLD)
    seed(after, users=20, balance=1000)
    with running_api(before, directory) as one, running_api(after, directory) as other:
        yield one, other


@pytest.fixture
def market(master: RedisServer, servers: Servers) -> Iterator[Client]:
    with contextlib.closing(master.client()) as client:
        yield client


@pytest.fixture
def sign(token_key_file: Path) -> Callable[[str], str]:
    """The token of a user."""
    signer = load_signer(str(token_key_file))
    return lambda user: signer.issue(user, 60)


async def told(user: User, name: str, predictions: int) -> Distribution:
    """The distribution of a pool that counts so many predictions."""
    for number in itertools.count(1):
        found = await user.distribution(number)
        if (found.pool, found.predictions) == (name, predictions):
            return found
    raise AssertionError


def test_a_client_gets_the_newest_version_that_both_sides_speak(
    servers: Servers, sign: Callable[[str], str]
) -> None:
    async def agreed(server: Server, offered: tuple[str, ...]) -> str | None:
        async with connected(server.path, sign("user-1"), subprotocol=offered) as user:
            return user.socket.subprotocol

    async def scenario() -> None:
        assert [await agreed(each, OLD) for each in servers] == ["market.v1", "market.v1"]
        assert [await agreed(each, NEW) for each in servers] == ["market.v1", "market.v2"]
        with pytest.raises(InvalidStatus) as refused:
            await agreed(servers[0], ("market.v2",))
        assert refused.value.response.status_code == 400
        assert "ask for the subprotocol market.v1" in str(refused.value.response.body)

    asyncio.run(scenario())


def test_a_prediction_repeated_at_a_server_of_another_version_is_one(
    servers: Servers, sign: Callable[[str], str]
) -> None:
    async def scenario() -> None:
        ways = itertools.product((OLD, NEW), (servers, servers[::-1]))
        for index, (offered, way) in enumerate(ways, 2):
            receipts = []
            for server in way:
                async with connected(server.path, sign(f"user-{index}"), subprotocol=offered) as user:
                    await user.ask(JOIN)
                    receipts.append(await user.ask(prediction(2, stake=30)))
            first, second = receipts
            assert (first.duplicate, first.balance) == (False, 970)
            assert second == msgspec.structs.replace(first, duplicate=True)

    asyncio.run(scenario())


def test_distributions_reach_clients_of_both_versions_at_both_servers(
    servers: Servers, market: Client, sign: Callable[[str], str]
) -> None:
    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            users = []
            for index, (server, offered) in enumerate(itertools.product(servers, (OLD, NEW)), 6):
                joining = connected(server.path, sign(f"user-{index}"), subprotocol=offered)
                users.append(await stack.enter_async_context(joining))
                await users[-1].ask(JOIN)
            granted(market, administration.open_pool(BY, pool("reached")))
            for user in users:
                await user.ask(prediction(2, pool="reached"))
            last = [await told(user, "reached", 4) for user in users]
            assert last == [last[0]] * 4
            others = [
                [type(each) for each in user.pushes if type(each) is not Distribution] for user in users
            ]
            assert others == [[], [], [], [PoolChanged]]

    asyncio.run(scenario())


def test_a_new_client_recovers_at_the_new_server_what_came_after_its_position_at_the_old_one(
    servers: Servers, market: Client, sign: Callable[[str], str]
) -> None:
    before, after = servers
    granted(market, administration.open_pool(BY, pool("moved")))

    async def scenario() -> None:
        async with connected(before.path, sign("user-10"), subprotocol=NEW) as user:
            await user.ask(JOIN)
            await user.ask(prediction(2, pool="moved"))
            seen = await told(user, "moved", 1)
        granted(market, administration.open_pool(BY, pool("missed")))
        back = JoinGame(1, "match-1", Position(seen.epoch, seen.offset))
        async with connected(after.path, sign("user-10"), subprotocol=NEW) as user:
            joined = await user.ask(back)
            assert (joined.state, joined.epoch) == ("recovered", seen.epoch)
            pushes = [await user.push(number + 1) for number in range(joined.offset - seen.offset)]
            assert [push.offset for push in pushes] == list(range(seen.offset + 1, joined.offset + 1))
            assert [push.pool for push in pushes if isinstance(push, PoolChanged)] == ["missed"]
        async with connected(before.path, sign("user-10"), subprotocol=NEW) as user:
            assert (await user.ask(back)).state == "recovered"
            await user.ask(prediction(3, pool="moved"))
            assert (await told(user, "moved", 2)).offset > joined.offset
            assert all(isinstance(push, Distribution) for push in user.pushes)

    asyncio.run(scenario())


@pytest.mark.parametrize("offered", ["[]", '["market.v3"]'])
def test_a_server_that_offers_nothing_it_speaks_does_not_start(offered: str, tmp_path: Path) -> None:
    file = tmp_path / "market.toml"
    file.write_text(f"protocols = {offered}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="protocols"):
        load(file)
