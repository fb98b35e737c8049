"""Operators' means against a user or a key: `market revoke`, `market token`, SIGHUP."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from market import keys
from market.protocol import Authenticate, Authenticated, CloseCode, ErrorCode, Games, ListGames
from market.revocations import RevocationError, revoke
from market.seed import seed
from market.settings import Settings
from market.tokens import Signer, load_signer
from tests.service.client import connected
from tests.service.conftest import (
    Client,
    RedisServer,
    Serve,
    Server,
    Start,
    until,
)
from tests.service.shared_api import ask_http, running_api, settings_without_sql


async def status(path: Path, token: str) -> int:
    """Of the answer to an upgrade request with a token."""
    try:
        async with connected(path, token):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def command(start: Start, name: str, settings: Settings, *arguments: str) -> str:
    process = start(name, settings, *arguments).process
    assert process.stdout is not None
    text = process.stdout.read()
    assert process.wait(30) == 0
    return text.strip()


@pytest.fixture(scope="module")
def shared(
    directory: Path, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[tuple[Server, Settings]]:
    """A process that reads from the master."""
    settings = settings_without_sql(master, password_file, token_key_file)
    seed(settings, users=1, balance=1)
    with running_api(settings, directory) as server:
        yield server, settings


def test_a_revoked_user_is_closed_everywhere_and_stays_out(
    shared: tuple[Server, Settings], start: Start, directory: Path, master: RedisServer, replica: RedisServer
) -> None:
    """At the master's process and at a replica's, on connections of both ways to show a token."""
    server, settings = shared
    signer = load_signer(settings.token_key_file)
    token = signer.issue("user-1", 600)
    endpoint = msgspec.structs.replace(settings.redis_read, port=replica.port)
    near_settings = msgspec.structs.replace(settings, redis_read=endpoint)

    async def closed(near: Server) -> None:
        async with (
            connected(server.path, token) as one,
            connected(near.path, token, by_message=True) as two,
            connected(near.path, signer.issue("user-2", 60)) as other,
            connected(near.path) as late,
        ):
            await asyncio.to_thread(command, start, "revoke", settings, "user-1", "--for", "600")
            assert [await one.closed(), await two.closed()] == [CloseCode.REVOKED] * 2
            assert isinstance(await other.ask(ListGames(1)), Games)
            assert (await late.ask(Authenticate(1, token))).code == ErrorCode.REVOKED
            assert await late.closed() == CloseCode.REVOKED
            assert [await status(one.path, token) for one in (server, near)] == [403, 403]
            assert (await asyncio.to_thread(ask_http, near.path, token)).status == 403

    with running_api(near_settings, directory) as near:
        asyncio.run(closed(near))
    with running_api(near_settings, directory) as restarted:
        until(lambda: asyncio.run(status(restarted.path, token)) == 403, "the list of revoked users")
        revoke(settings, "user-1", 0)
        for path in (server.path, restarted.path):
            until(lambda path=path: asyncio.run(status(path, token)) == 101, "the end of it")  # type: ignore[misc]
    with contextlib.closing(master.client()) as redis:
        assert redis.zcard(keys.REVOKED) == 0


def test_a_revocation_ends_by_itself(shared: tuple[Server, Settings], master: RedisServer) -> None:
    server, settings = shared
    token = load_signer(settings.token_key_file).issue("user-3", 600)
    revoke(settings, "user-3", 2)
    until(lambda: asyncio.run(status(server.path, token)) == 403, "the revocation")
    until(lambda: asyncio.run(status(server.path, token)) == 101, "its end")
    revoke(settings, "user-4", 60)
    with contextlib.closing(master.client()) as redis:
        assert redis.zrange(keys.REVOKED, 0, -1) == [b"user-4"]
    revoke(settings, "user-4", 0)


def test_what_was_revoked_while_a_process_had_no_link_is_closed_when_it_has_one_again(
    shared: tuple[Server, Settings], master: RedisServer
) -> None:
    server, settings = shared

    def revoke_unheard() -> None:
        with contextlib.closing(master.client()) as redis:
            redis.client_kill_filter(_type="pubsub")
            redis.zadd(keys.REVOKED, {"user-5": int(time.time()) + 600})

    async def scenario() -> None:
        async with connected(
            server.path, load_signer(settings.token_key_file).issue("user-5", 600)
        ) as client:
            server.command.process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.to_thread(revoke_unheard)
            finally:
                server.command.process.send_signal(signal.SIGCONT)
            assert await client.closed() == CloseCode.REVOKED

    asyncio.run(scenario())
    revoke(settings, "user-5", 0)


def test_a_revocation_that_cannot_be_written_says_so(settings: Settings) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    with pytest.raises(RevocationError, match=r"redis 127\.0\.0\.1:1:"):
        revoke(msgspec.structs.replace(settings, redis_master=nowhere), "user-1", 60)


def test_a_printed_token_is_accepted_and_has_its_scope(
    start: Start, settings: Settings, signer: Signer
) -> None:
    plain = signer.verify(command(start, "token", settings, "user-1"))
    admin = signer.verify(command(start, "token", settings, "operator", "--admin", "--ttl-s", "60"))
    assert (plain.user, plain.is_admin, admin.user, admin.is_admin) == ("user-1", False, "operator", True)
    assert time.time() + 800 < plain.expires_at_s <= time.time() + 900
    assert time.time() < admin.expires_at_s <= time.time() + 60


def test_a_name_that_no_user_has_is_refused(start: Start, settings: Settings) -> None:
    refused = start("revoke", settings, "user 1")
    assert refused.process.wait(30) == 1
    refused.reader.join()
    assert "names no user" in refused.lines[-1]
    assert "Traceback" not in refused.log()


def test_keys_are_replaced_while_clients_stay(
    serve: Serve, settings: Settings, market: Client, tmp_path: Path
) -> None:
    file = tmp_path / "token-keys"
    texts = ["1:" + "o" * 32, "2:" + "n" * 32 + "\n1:" + "o" * 32, "2:" + "n" * 32]
    file.write_text(texts[0], encoding="utf-8")
    server = serve(msgspec.structs.replace(settings, token_key_file=str(file)))
    old, new = Signer(texts[0]).issue("user-1", 60), Signer(texts[2]).issue("user-1", 60)

    def replace(text: str, said: str) -> None:
        file.write_text(text, encoding="utf-8")
        count = server.command.log().count(said)
        server.command.process.send_signal(signal.SIGHUP)
        until(lambda: server.command.log().count(said) > count, said)

    async def scenario() -> None:
        async with connected(server.path, old) as client:
            assert await status(server.path, new) == 401
            await asyncio.to_thread(replace, texts[1], "the token keys were read again")
            assert [await status(server.path, token) for token in (old, new)] == [101, 101]
            await asyncio.to_thread(replace, "short", "the token keys stay as they are")
            assert [await status(server.path, token) for token in (old, new)] == [101, 101]
            await asyncio.to_thread(replace, texts[2], "the token keys were read again")
            assert [await status(server.path, token) for token in (old, new)] == [401, 101]
            assert isinstance(await client.ask(ListGames(1)), Games)
            assert isinstance(await client.ask(Authenticate(2, new)), Authenticated)

    asyncio.run(scenario())
    for text in texts:
        assert all(line.split(":")[-1] not in server.command.log() for line in text.splitlines())
