"""What administrators and feeds ask of an API process, and that nobody else may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from market import keys
from market.administration import CLOSE_CHUNK
from market.blocking_calls import Master
from market.protocol import (
    Accepted,
    ClosePool,
    CreateGame,
    Error,
    ErrorCode,
    Event,
    Request,
    ResolvePool,
    Rule,
    SetGameStatus,
    SubmitEvent,
    VoidPool,
)
from market.settings import Settings
from market.tokens import Signer, TokenError
from tests.service.administering import (
    GAME,
    event,
    fields,
    journal,
    opened,
    pool,
    staked,
    status,
)
from tests.service.client import JOIN, connected
from tests.service.conftest import Client, RedisServer, Server
from tests.service.shared_api import running_api, settings_without_sql


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, master: RedisServer, password_file: Path, token_key_file: Path
) -> Iterator[Server]:
    settings = settings_without_sql(master, password_file, token_key_file)
    with running_api(settings, tmp_path_factory.mktemp("api")) as running:
        yield running


REQUESTS: list[Request] = [
    CreateGame(1, "final", "The final"),
    SetGameStatus(2, GAME, "finished"),
    pool("other"),
    ClosePool(4, GAME, "next"),
    ResolvePool(5, GAME, "next", [2, 0]),
    VoidPool(6, GAME, "voided"),
    SubmitEvent(7, event(1)),
]


def test_what_an_administrator_asks_for_is_done_once(server: Server, market: Client, signer: Signer) -> None:
    store = Master(market)
    for name in ["next", "voided", *(f"pool-{number}" for number in range(CLOSE_CHUNK))]:
        opened(store, name)
    staked(store, 1, 0, 30)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("admin-1", 60, scopes=["play", "admin"])) as client:
            await client.ask(JOIN)
            order = [REQUESTS[index] for index in (0, 2, 3, 4, 5, 6, 1)]
            for request in order:
                assert await client.ask(request) == Accepted(request.id, False), request
            for request in order:
                assert await client.ask(request) == Accepted(request.id, True), request
            changes = [await client.push(number) for number in (1, 2, 3)]
            assert [(push.pool, push.status) for push in changes] == [
                ("other", "open"),
                ("next", "closed"),
                ("voided", "closed"),
            ]

    asyncio.run(scenario())
    assert (fields(market)["status"], fields(market)["winners"]) == ("resolving", "[0,2]")
    assert fields(market, "voided")["winners"] == "[]"
    assert status(market, "other") == status(market, "winner") == "closed"
    assert {entry["body"]["by"] for entry in journal(market, "game")} == {"admin-1"}


def test_nobody_else_may_and_a_feed_may_tell_events_only(
    server: Server, market: Client, signer: Signer
) -> None:
    async def scenario() -> None:
        for scope, allowed in (("", ()), ("feed", (SubmitEvent,))):
            async with connected(server.path, signer.issue("user-1", 60, scopes=scope.split())) as client:
                for request in REQUESTS:
                    answer = await client.ask(request)
                    if isinstance(request, allowed):
                        assert answer == Accepted(request.id)
                    else:
                        assert (answer.code, answer.id) == (ErrorCode.NOT_ALLOWED, request.id)

    asyncio.run(scenario())
    assert journal(market, "game", "pool") == []


REFUSALS: list[tuple[Request, ErrorCode]] = [
    (CreateGame(1, GAME, "Another"), ErrorCode.EXISTS),
    (SetGameStatus(1, "nowhere", "live"), ErrorCode.NO_SUCH_GAME),
    (SetGameStatus(1, GAME, "scheduled"), ErrorCode.CONFLICT),
    (pool("winner"), ErrorCode.EXISTS),
    (pool("next", options=["a", "b", "a"]), ErrorCode.MALFORMED),
    (pool("next", decided_by=Rule("goal", "team", {"a": 3})), ErrorCode.NO_SUCH_OPTION),
    (pool("next", decided_by=Rule("goal", "team", {}, otherwise=3)), ErrorCode.NO_SUCH_OPTION),
    (ClosePool(1, GAME, "loser"), ErrorCode.NO_SUCH_POOL),
    (ResolvePool(1, GAME, "winner", [3]), ErrorCode.NO_SUCH_OPTION),
    (VoidPool(1, GAME, "loser"), ErrorCode.NO_SUCH_POOL),
    (SubmitEvent(1, Event("nowhere", "e1", 1, "goal", 0)), ErrorCode.NO_SUCH_GAME),
]


def test_every_refusal_has_its_number(server: Server, market: Client, signer: Signer) -> None:
    async def scenario() -> None:
        async with connected(server.path, signer.issue("admin-1", 60, scopes=["admin"])) as client:
            for request, code in REFUSALS:
                error = await client.ask(request)
                assert isinstance(error, Error), request
                assert (error.code, error.id) == (code, request.id), request
                assert error.message

    asyncio.run(scenario())
    # What was asked is in the audit log, as soon as the process has passed it on.
    assert [entry for entry in journal(market) if entry["kind"] != "command"] == []
    assert market.exists(keys.pool("next")) == 0


def test_scopes_are_in_the_token(signer: Signer) -> None:
    assert signer.verify(signer.issue("u", 60, scopes=["admin", "feed"])).scopes == {"admin", "feed"}
    assert signer.verify(signer.issue("u", 60)).scopes == frozenset()


def test_a_scope_that_is_no_text_is_refused(settings: Settings, signer: Signer) -> None:
    key = Path(settings.token_key_file).read_text(encoding="utf-8").strip()
    claims = {"sub": "u", "aud": "market", "exp": 2**40, "scope": ["admin"]}
    with pytest.raises(TokenError, match="scope"):
        signer.verify(jwt.encode(claims, key, algorithm="HS256"))
