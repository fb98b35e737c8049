"""Three Redis machines at home with Sentinels: what is acknowledged outlives the master, wherever it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from market import calls, keys, redis_link, scripts, standby_link
from market.follow import Follower
from market.redis_client import redis_client
from market.seed import seed
from market.sentinels import find_master
from market.settings import RedisEndpoint, Settings
from market.standby_link import master_link
from market.store import Failure, Receipt, UnavailableError
from tests.service.client import prediction
from tests.service.conftest import until
from tests.service.home import HERE, Home, Server

pytestmark = pytest.mark.timeout(120)

USERS = 50
BALANCE = 1_000_000


@pytest.fixture(scope="module")
def running(directory: Path) -> Iterator[Home]:
    home = Home(directory / "home")
    try:
        home.start()
        yield home
    finally:
        home.stop()


@pytest.fixture
def home(running: Home) -> Iterator[Home]:
    """All of it as it should be, whoever the master is; started again after the test."""
    yield running
    for server in running.servers:
        if server.process is None:
            server.start()
        server.signal(signal.SIGCONT)
    while running.elsewhere:
        running.elsewhere.pop().kill()
    until(running.whole, "all standbys")


@pytest.fixture
def ha(home: Home, token_key_file: Path) -> Settings:
    """A process that acknowledges what a standby has; of SQL it uses nothing here."""
    sql: Any = {"host": HERE, "port": 1, "user": "nobody", "password-file": "none"}
    return msgspec.convert(
        {
            "region": "eu-west-1",
            "node": "node-1",
            "token-key-file": str(token_key_file),
            "redis-master": msgspec.to_builtins(home.endpoint),
            "redis-read": msgspec.to_builtins(home.endpoint),
            "sql-master": sql,
            "sql-read": sql,
            "acknowledge": "standby",
            "standbys": home.standbys,
        },
        Settings,
    )


class Users:
    """Everybody places one prediction after the other, and repeats what was not answered with its key."""

    def __init__(self, link: Any) -> None:
        self.link = link
        self.acknowledged: dict[int, Receipt] = {}
        self.refused = 0
        self._number = iter(range(1_000_000))
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, users: int = USERS) -> None:
        self._tasks = [asyncio.create_task(self._use()) for _ in range(users)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Until so many more are acknowledged."""
        wanted = len(self.acknowledged) + count
        async with asyncio.timeout(30):
            while len(self.acknowledged) < wanted:
                self._arrived.clear()
                await self._arrived.wait()

    async def place(self, number: int) -> Receipt | Failure:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        call = calls.place(f"user-{number % USERS}", prediction(number, stake=1), 60_000)

        def answered(reply: Any) -> None:
            if not answer.done():
                answer.set_result(reply)

        self.link.evaluate(scripts.PLACE, call.command, answered)
        return call.read(await answer)

    async def _use(self) -> None:
        while True:
            number = next(self._number)
            while isinstance(result := await self.place(number), Failure):
                self.refused += 1
                await asyncio.sleep(0.02)
            self.acknowledged[number] = result
            self._arrived.set()


def run(link: Any, scenario: Callable[[Users], Awaitable[None]]) -> Users:
    """Run a scenario with a link that is there."""

    async def whole() -> Users:
        link.start()
        try:
            await asyncio.to_thread(until, lambda: not link.problem(), "the link")
            users = Users(link)
            await scenario(users)
            await users.stop()
            return users
        finally:
            await link.stop()

    return uvloop.run(whole())


def missing(home: Home, users: Users) -> list[int]:
    """The acknowledged predictions that the present master does not have as they were acknowledged."""
    with contextlib.closing(home.client(home.master())) as client:
        journal = {(fields[b"key"].decode(), entry.decode()) for entry, fields in client.xrange(keys.JOURNAL)}
        assert len(journal) == len({key for key, _ in journal}), "a prediction is there twice"
        return [
            number
            for number, receipt in users.acknowledged.items()
            if (prediction(number).key, receipt.journal_id) not in journal
        ]


def epoch(home: Home) -> int:
    with contextlib.closing(home.client(home.master())) as client:
        return int(client.get(keys.EPOCH))


def test_a_killed_master_costs_no_acknowledged_prediction_and_one_epoch_and_one_standby_is_enough(
    home: Home, ha: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    seed(ha, USERS, BALANCE)
    caplog.clear()
    before, master = epoch(home), home.master()
    others = [master_link(ha, ()) for _ in range(10)]

    async def scenario(users: Users) -> None:
        for link in others:
            link.start()
        users.start()
        await users.more(2000)
        master.kill()
        await users.more(2000)
        await asyncio.to_thread(until, lambda: not any(link.problem() for link in others), "all links")
        for link in others:
            await link.stop()
        await users.stop()
        (left,) = (s for s in home.servers if s.process and s is not home.master())
        left.kill()
        assert isinstance(await users.place(900_000), Failure), "nobody else has it"

    with caplog.at_level(logging.WARNING, "market.epoch_guard"):
        users = run(master_link(ha, (scripts.PLACE,)), scenario)
        redis_client(ha.redis_master, writes=True).ping()
    assert home.master() is not master
    assert missing(home, users) == []
    assert users.refused > 0
    assert epoch(home) > before
    assert len([r for r in caplog.records if f"epoch {epoch(home)} begins" in r.getMessage()]) == 1
    assert len([r for r in caplog.records if r.name == "market.epoch_guard"]) == 1


def test_nothing_is_acknowledged_while_only_a_replica_elsewhere_follows_and_nothing_acknowledged_is_lost(
    home: Home, ha: Settings
) -> None:
    """A replica that hangs at the master itself satisfies WAIT, and is not what is waited for."""
    seed(ha, USERS, BALANCE)
    master = home.master()
    elsewhere = home.replica(master)
    until(lambda: home.role(elsewhere)[3:4] == [b"connected"], "the replica elsewhere")
    until(lambda: len(home.role(master)[2]) == 3, "the master to know of it")

    async def scenario(users: Users) -> None:
        users.start()
        await users.more(500)
        for standby in home.others(master):
            standby.signal(signal.SIGSTOP)
        assert isinstance(await users.place(900_000), Failure)
        acknowledged = len(users.acknowledged)
        assert isinstance(await users.place(900_000), Failure), "a repeated key waits for a standby too"
        assert len(users.acknowledged) == acknowledged
        assert "standby" in (users.link.problem() or "")
        master.kill()
        for standby in home.others(master):
            standby.signal(signal.SIGCONT)
        await users.more(500)

    users = run(master_link(ha, (scripts.PLACE,)), scenario)
    assert home.master() is not master
    assert missing(home, users) == []


def test_a_sentinel_that_does_not_answer_is_not_waited_for_when_the_others_agree(home: Home) -> None:
    gave_up = threading.Event()
    with socket.create_server((HERE, 0)) as mute:

        def listen() -> None:
            client, _ = mute.accept()
            with client:
                while client.recv(4096):
                    pass
            gave_up.set()

        thread = threading.Thread(target=listen)
        thread.start()
        address = f"{HERE}:{mute.getsockname()[1]}"
        sentinels = (address, *(server.address for server in home.sentinels[:2]))
        found = find_master(msgspec.structs.replace(home.endpoint, sentinels=sentinels))
        assert not gave_up.is_set()
        assert found == (HERE, home.master().port)
        thread.join(10)
        assert gave_up.is_set()


def test_a_standby_that_hangs_is_waited_for_until_the_sentinels_call_it_down(
    home: Home, ha: Settings
) -> None:
    seed(ha, USERS, BALANCE)
    hanging = home.others(home.master())[0]

    async def scenario(users: Users) -> None:
        users.start()
        await users.more(200)
        hanging.signal(signal.SIGSTOP)
        await users.more(2000)
        assert users.refused == 0

    run(master_link(ha, (scripts.PLACE,)), scenario)


def test_what_is_said_late_of_a_connection_that_is_lost_does_not_end_the_next_one(
    home: Home, ha: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seed(ha, USERS, BALANCE)
    hanging = home.others(home.master())[0]
    asked, again, said = threading.Event(), threading.Event(), threading.Event()

    def slowly(*_: Any) -> frozenset[Any]:
        if asked.is_set():
            return frozenset()
        asked.set()
        again.wait(20)
        said.set()
        raise UnavailableError("another master, it is said late")

    def afterwards(endpoint: RedisEndpoint) -> Any:
        again.set()
        said.wait(20)
        return find_master(endpoint)

    link: Any = master_link(ha, (scripts.PLACE,))

    async def scenario(users: Users) -> None:
        users.start()
        await users.more(200)
        monkeypatch.setattr(standby_link, "find_down", slowly)
        monkeypatch.setattr(redis_link, "find_master", afterwards)
        hanging.signal(signal.SIGSTOP)
        await asyncio.to_thread(asked.wait, 20)
        hanging.signal(signal.SIGCONT)
        link._transport.abort()
        await asyncio.to_thread(said.wait, 20)
        await asyncio.to_thread(until, lambda: link.problem() is None, "the next connection")
        await users.more(200)

    run(link, scenario)
    assert "it is said late" not in caplog.text


@pytest.mark.parametrize("stopped", [False, True])
def test_a_link_leaves_a_server_that_is_demoted(home: Home, ha: Settings, stopped: bool) -> None:
    """The old master goes on beside the new one for a while: after an order, or when it was only stopped."""
    seed(ha, USERS, BALANCE)
    master = home.master()

    def another() -> bool:
        named = home.ask_sentinel(home.sentinels[0], "GET-MASTER-ADDR-BY-NAME", "market")
        return int(named[1]) != master.port

    async def scenario(users: Users) -> None:
        users.start()
        await users.more(200)
        if stopped:
            master.signal(signal.SIGSTOP)
        else:
            home.ask_sentinel(home.sentinels[0], "FAILOVER", "market")
        await asyncio.to_thread(until, another, "another master")
        master.signal(signal.SIGCONT)
        await users.more(200)

    users = run(master_link(ha, (scripts.PLACE,)), scenario)
    assert missing(home, users) == []


def test_a_replica_elsewhere_is_hung_up_again_and_never_to_the_master_while_a_standby_lives(
    home: Home, ha: Settings
) -> None:
    master = home.master()
    follows = home.others(master)[0]
    replica = home.replica(follows)
    account = RedisEndpoint(HERE, replica.port, str(home.replica_password_file), user="follow")
    settings = msgspec.structs.replace(ha, redis_read=account)
    follower = Follower(settings, threading.Event())

    def upstream() -> Server | None:
        role = home.role(replica)
        return next((s for s in home.servers if role[0] == b"slave" and s.port == role[2]), None)

    def looked(wanted: Callable[[], bool]) -> Callable[[], bool]:
        def look() -> bool:
            with contextlib.suppress(UnavailableError):
                follower.look()
            return wanted()

        return look

    until(lambda: home.role(replica)[3:4] == [b"connected"], "the replication")
    follower.look()
    assert upstream() is follows
    master.kill()
    alive = [s for s in home.servers if s.process]
    promoted = home.master()
    (standby,) = (s for s in alive if s is not promoted)
    until(looked(lambda: upstream() is standby), "the replica at the standby that is left")
    until(lambda: home.role(replica)[3:4] == [b"connected"], "the replication")
    standby.kill()
    until(looked(lambda: upstream() is promoted), "the replica at the master, alone")
