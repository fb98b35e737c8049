"""The audit log: everything that was asked is in it, once, at the moment at which it is read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pymysql
import pytest

from market import audit, audit_dump, calls_journal, keys, scripts, sql_audit
from market.audit_dump import AuditError
from market.journal import Command, commands_of
from market.protocol import (
    Authenticate,
    ErrorCode,
    GetPresence,
    LeaveGame,
    ListGames,
    ListPools,
)
from market.settings import Settings
from market.store import Failure
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, Start, end, free_port, until
from tests.service.entries import append, copy, drain, entries, predict, running

Cursor = pymysql.cursors.Cursor


def dumped(settings: Settings, user: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit_dump.lines(settings, user)]


def noted(client: Client) -> list[Command]:
    """The commands in the journal, but for those of the processes themselves."""
    found = [each for entry in entries(client) if entry.kind == "command" for each in commands_of(entry)]
    return [each for each in found if not each.type.startswith("process_")]


async def asked(serve_path: Any, signer: Signer) -> None:
    """Some of everything."""
    async with connected(serve_path, signer.issue("user-1", 60)) as client:
        await client.ask(ListGames(1))
        await client.ask(prediction(2))
        await client.ask(JOIN)
        await client.ask(prediction(3))
        await client.ask(prediction(3))
        await client.ask(prediction(4, stake=5000))
        await client.ask(ListPools(5, "match-2"))
        await client.ask('{"type":"list_games","id":6,"more":1}')
        await client.ask(LeaveGame(7, "match-1"))
        await client.ask(Authenticate(8, "no token"))


def summary(lines: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(line.get("type", line["kind"]), line.get("code", 0)) for line in lines]


ANSWERS = [
    ("list_games", 0),
    ("place_prediction", ErrorCode.NOT_JOINED),
    ("join_game", 0),
    ("place_prediction", 0),
    ("place_prediction", ErrorCode.INSUFFICIENT_FUNDS),
    ("list_pools", ErrorCode.NO_SUCH_GAME),
    ("unreadable", ErrorCode.MALFORMED),
    ("leave_game", 0),
    ("authenticate", ErrorCode.UNAUTHENTICATED),
]
"""What the log has of them beside the prediction itself."""


def test_everything_that_was_asked_is_in_the_log_at_once_and_once(
    serve: Serve, start: Start, settings: Settings, market: Client, signer: Signer, sql: Cursor
) -> None:
    server = serve(settings)
    asyncio.run(asked(server.path, signer))
    lines = dumped(settings, "user-1")
    assert [(line["type"], line["code"]) for line in lines if line["kind"] == "command"] == ANSWERS
    assert [line["key"] for line in lines if line["kind"] == "prediction"] == ["k3"]
    assert len(lines) == len(ANSWERS) + 1

    drain(settings)
    command = start("audit", settings, "--user", "user-1")
    assert command.process.stdout is not None
    assert [json.loads(line) for line in command.process.stdout] == lines

    assert server.get("/v2/games")[0] == 401
    assert end(server.command.process) == 0
    everybody = dumped(settings)
    assert [(line["type"], line["code"]) for line in everybody if line["user"] is None] == [
        ("process_started", 0),
        ("list_games", ErrorCode.UNAUTHENTICATED),
        ("process_stopped", 0),
    ]
    assert [line for line in everybody if line["user"] == "user-1"] == lines


def test_the_log_of_writes_has_only_failures_of_reads(settings: Settings, market: Client) -> None:
    async def noted_in(mode: Any) -> list[tuple[str, int]]:
        market.delete(keys.JOURNAL)
        async with running(msgspec.structs.replace(settings, audit=mode)) as process:
            for request in (ListPools(1, "match-1"), ListPools(2, "match-2"), prediction(3), prediction(3)):
                await process.ask("user-1", request)
            market.delete(keys.receipt("user-1", "k3"))
            process.audit.start()
            await process.audit.stop(10)
        return [(each.type, each.code) for each in noted(market)]

    failures = [("list_pools", ErrorCode.NO_SUCH_GAME), ("place_prediction", 0)]
    assert asyncio.run(noted_in("all")) == [("list_pools", 0), *failures]
    assert asyncio.run(noted_in("writes")) == failures


def test_a_line_says_what_happened(settings: Settings, market: Client, sql: Cursor) -> None:
    append(market, "event", body='{"id":"e1","goal":true}')
    predict(market, "user-1", "k1", option=2)
    append(market, "command", body='[["","list_games",0,1700000000000,3],["user-1","list_pools",4040,5,0]]')
    epoch, read = int(market.get(keys.EPOCH)), entries(market)
    assert dumped(settings) == [
        {"epoch": epoch, "journal_id": read[0].journal_id, "at_ms": read[0].place.ms, "kind": "event",
         "body": {"id": "e1", "goal": True}},
        {"epoch": epoch, "journal_id": read[1].journal_id, "at_ms": read[1].place.ms, "kind": "prediction",
         "user": "user-1", "key": "k1", "game": "match-1", "pool": "winner", "option": 2, "stake": 10,
         "amount": -10, "balance": 90},
        {"epoch": epoch, "journal_id": read[2].journal_id, "at_ms": 1_700_000_000_000, "kind": "command",
         "part": 0, "user": None, "type": "list_games", "code": 0, "took_ms": 3},
        {"epoch": epoch, "journal_id": read[2].journal_id, "at_ms": 5, "kind": "command",
         "part": 1, "user": "user-1", "type": "list_pools", "code": 4040, "took_ms": 0},
    ]  # fmt: skip


def test_the_log_is_the_same_wherever_it_is_and_in_pages_of_any_size(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, market: Client, sql: Cursor
) -> None:
    for number in range(6):
        predict(market, f"user-{number % 3}", f"k{number}")
        commands = [[f"user-{part % 3}", "list_games", 0, part, 0] for part in range(7)]
        append(market, "command", body=json.dumps(commands))
    users = (None, "user-0", "user-2")
    expected = {user: dumped(settings, user) for user in users}
    assert len(expected[None]) == 6 * 8
    ends = [None, *(entry.place.following for entry in entries(market))]

    drain(settings)
    market.delete(keys.JOURNAL_TRIMMED)
    behind = msgspec.structs.replace(settings.sql_master, database="market_behind")
    for page in (1, 7, 1000):
        monkeypatch.setattr(sql_audit, "PAGE", page)
        monkeypatch.setattr(audit_dump, "PAGE", page)
        for end_ in ends[:: 1 if page == 7 else 6]:
            copy(sql, end_)
            partly = msgspec.structs.replace(settings, sql_master=behind)
            assert {user: dumped(partly, user) for user in users} == expected, (page, end_)
    market.delete(keys.JOURNAL)
    assert {user: dumped(settings, user) for user in users} == expected


def test_what_is_drained_and_trimmed_while_the_log_is_read_is_in_it(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, market: Client, sql: Cursor
) -> None:
    monkeypatch.setattr(audit_dump, "PAGE", 4)
    for number in range(20):
        predict(market, "user-1", f"k{number}", entry_id=f"{1000 + number}-0")
    reading = audit_dump.lines(settings, "user-1")
    found = [next(reading) for _ in range(6)]
    drain(settings)
    assert entries(market) == []
    predict(market, "user-1", "later")
    found += list(reading)
    assert [json.loads(line)["key"] for line in found] == [f"k{number}" for number in range(20)]


def test_a_sql_server_that_lacks_what_was_trimmed_is_no_master(
    settings: Settings, market: Client, sql: Cursor
) -> None:
    predict(market, "user-1", "k", entry_id="1000-0")
    drain(settings)
    predict(market, "user-1", "k2")
    wrong = msgspec.structs.replace(settings.sql_master, database="market_behind")
    with pytest.raises(AuditError, match="is it the master"):
        dumped(msgspec.structs.replace(settings, sql_master=wrong))


def test_servers_that_cannot_be_reached_are_named(settings: Settings) -> None:
    nowhere = msgspec.structs.replace(settings.sql_master, port=free_port())
    with pytest.raises(AuditError, match="cannot be read"):
        dumped(msgspec.structs.replace(settings, sql_master=nowhere))


def test_a_batch_that_is_sent_again_is_written_once(settings: Settings, market: Client) -> None:
    body = b'[["user-1","list_games",0,1,1]]'

    async def scenario() -> list[bool | Failure]:
        answers: list[bool | Failure] = []
        async with running(settings) as process:
            for number in (1, 1, 2, 1):
                done: asyncio.Future[bool | Failure] = asyncio.get_running_loop().create_future()
                process.store.master(calls_journal.audit("node.1", number, [body, body]), done.set_result)
                answers.append(await done)
        return answers

    assert asyncio.run(scenario()) == [True, True, True, True]
    assert len(noted(market)) == 4


def test_commands_take_no_more_memory_than_the_journal_may(settings: Settings, market: Client) -> None:
    market.set(keys.JOURNAL_LIMIT, 10_000)
    body = json.dumps([[f"user-{number}", "list_games", 0, 10**12, 1] for number in range(100)])
    number = 0
    while True:
        number += 1
        bodies = [body] * 50
        answer = market.eval(scripts.AUDIT.text, 0, "node.1", number, *bodies)
        if answer != [0]:
            break
    assert answer == [ErrorCode.JOURNAL_FULL]
    limit = 10_000 * scripts.JOURNAL_ENTRY_BYTES
    assert limit / 2 < market.memory_usage(keys.JOURNAL) < 2 * limit + 50 * len(body)
    predict(market, "user-1", "k")


def test_a_process_whose_commands_wait_takes_no_more_and_loses_none(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, market: Client
) -> None:
    monkeypatch.setattr(audit, "MAX_GATHERED", 10)
    monkeypatch.setattr(audit, "PERIOD_S", 0.01)
    market.set(keys.JOURNAL_LIMIT, 0)

    async def scenario() -> tuple[list[Any], int]:
        async with running(settings) as process:
            answers = [await process.ask(f"user-{n}", GetPresence(1, "match-1")) for n in range(12)]
            process.audit.start()
            await asyncio.sleep(0.05)
            assert noted(market) == []
            market.set(keys.JOURNAL_LIMIT, 100)
            await process.audit.stop(10)
            return answers, process.audit.gathered

    answers, left = asyncio.run(scenario())
    refused = [answer for answer in answers if isinstance(answer, Failure)]
    assert [answer.code for answer in refused] == [ErrorCode.TOO_MANY_REQUESTS] * 2
    assert refused[0].retry_after_ms is not None
    assert left == 0
    assert [(each.user, each.type) for each in noted(market)] == [
        (f"user-{number}", "get_presence") for number in range(10)
    ]


def test_strangers_never_have_the_requests_of_users_refused(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, market: Client
) -> None:
    monkeypatch.setattr(audit, "MAX_GATHERED", 10)
    monkeypatch.setattr(audit, "MAX_STRANGERS", 5)

    async def scenario() -> Any:
        async with running(settings) as process:
            for _ in range(100):
                process.audit.note_stranger("list_games", ErrorCode.UNAUTHENTICATED, again=False)
            assert (process.audit.gathered, process.audit.strangers) == (5, 95)
            return await process.ask("user-1", GetPresence(1, "match-1"))

    assert not isinstance(asyncio.run(scenario()), Failure)
    assert audit.MAX_STRANGERS < audit.MAX_GATHERED


def test_commands_of_a_process_that_cannot_write_them_are_missed_aloud(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    market: Client,
    sql: Cursor,
) -> None:
    monkeypatch.setattr(audit_dump, "PATIENCE_S", 0.1)
    seconds, _ = market.time()
    market.hset(keys.AUDITORS, "node-9.1", f"7 {seconds * 1000}")
    market.hset(keys.AUDITORS, "node-8.1", f"7 {(seconds - 60) * 1000}")
    assert dumped(settings) == []
    assert "node-9.1" in caplog.text
    assert "node-8.1" not in caplog.text


def test_status_says_how_the_journal_stands(
    start: Start, serve: Serve, settings: Settings, market: Client, sql: Cursor
) -> None:
    for number in range(10):
        predict(market, "user-1", f"k{number}")
    market.xadd(keys.REJECTED, {"journal_id": "1-1"})
    server = serve(msgspec.structs.replace(settings, journal_max_entries=500, audit="writes"))
    until(lambda: market.hlen(keys.POSITIONS) == 1 and market.xlen(keys.JOURNAL) == 11, "the report")
    command = start("status", settings)
    assert command.process.stdout is not None
    status = json.loads(command.process.stdout.read())
    read = settings.sql_read
    assert status.pop("oldest_age_ms") > 0
    assert status == {
        "entries": 11,
        "limit": 500,
        "backlog": 11,
        "drained_per_s": 0.0,
        "rejected": 1,
        "trimmed": "",
        "positions": {f"eu-west-1 127.0.0.1:{read.port}/market": "0-0-0"},
    }
    assert end(server.command.process) == 0
    assert market.hlen(keys.AUDITORS) == 0
