"""The command line: what its commands print, and how a mistake is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import pytest

from market import keys
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, RedisServer, Serve, Start


def output(start: Start, name: str, settings: Settings, *arguments: str) -> list[str]:
    command = start(name, settings, *arguments)
    assert command.process.stdout is not None
    text = command.process.stdout.read()
    assert command.process.wait(30) == 0, command.log()
    return text.splitlines()


def test_tokens_are_those_that_the_api_accepts(start: Start, settings: Settings, signer: Signer) -> None:
    lines = [line.split("\t") for line in output(start, "tokens", settings, "--users", "3", "--ttl-s", "60")]
    assert [user for user, _ in lines] == ["user-0", "user-1", "user-2"]
    assert [signer.verify(token).user for _, token in lines] == ["user-0", "user-1", "user-2"]


def test_seed_replaces_what_was_there_and_begins_an_epoch(
    start: Start, settings: Settings, market: Client
) -> None:
    epoch = int(market.get(keys.EPOCH))
    market.set("market:receipt:old", "x")
    market.set("other:key", "stays")
    output(start, "seed", settings, "--users", "7", "--balance", "50")
    assert int(market.get(keys.EPOCH)) > epoch
    assert market.get("market:receipt:old") is None
    assert market.get("other:key") == b"stays"
    assert len(list(market.scan_iter(match=f"{keys.ACCOUNT}*"))) == 7
    assert market.hget(keys.account("user-6"), "balance") == b"50"
    market.delete("other:key")


def test_dump_shows_the_sums_and_every_row_and_inventory_each_entry(
    start: Start,
    serve: Serve,
    settings: Settings,
    market: Client,
    signer: Signer,
    sql: pymysql.cursors.Cursor,
) -> None:
    server = serve(settings)

    async def scenario() -> list[list[Any]]:
        rows: list[list[Any]] = []
        async with connected(server.path, signer.issue("user-3", 60)) as client:
            await client.ask(JOIN)
            for number in range(4):
                placed = await client.ask(prediction(number, option=number % 3, stake=10 + number))
                rows.append(["user-3", f"k{number}", "winner", number % 3, 10 + number, placed.epoch,
                             placed.journal_id])  # fmt: skip
        return rows

    rows = asyncio.run(scenario())
    output(start, "ledger", settings, "--drain")
    first, *rest = (json.loads(line) for line in output(start, "dump", settings))
    assert first == {"pools": {"winner": {"totals": [23, 11, 12], "predictions": 4}}, "accounts_debited": 46}
    assert rest == rows
    found = [json.loads(line) for line in output(start, "inventory", settings)]
    accounts = [line for line in found if line[0] == "account"]
    assert len(accounts) == 100
    assert ["account", "user-3", 1000, 954] in accounts
    assert [line for line in found if line[0] == "pool"] == [["pool", "winner", [23, 11, 12], 4]]
    assert [line[1:] for line in found if line[0] == "journal"] == rows
    assert [line[1:] for line in found if line[0] == "sql"] == rows
    receipts = [["receipt", row[0], row[1], row[5], row[6]] for row in rows]
    assert sorted(line for line in found if line[0] == "receipt") == sorted(receipts)


def test_counters_rise_by_what_the_databases_serve(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    def counted() -> tuple[int, int, int]:
        (line,) = output(start, "counters", settings)
        found = json.loads(line)
        (served,), (questions,) = found["redis"].values(), found["sql"].values()
        assert set(found["redis"]) == {f"{settings.redis_master.host}:{settings.redis_master.port}"}
        return served["hits"], served["misses"], questions

    before = counted()
    market.get(keys.EPOCH)
    market.get("market:there-is-none")
    sql.execute("SELECT 1")
    after = counted()
    assert after[0] > before[0]
    assert after[1] > before[1]
    assert after[2] >= before[2] + 2


def test_migrate_takes_no_step_twice(start: Start, settings: Settings, sql: pymysql.cursors.Cursor) -> None:
    owner = msgspec.structs.replace(settings.sql_master, user="market_migrate")
    output(start, "migrate", msgspec.structs.replace(settings, sql_master=owner))


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("seed", ["--users", "1000", "--balance", str(10**15)], "more money than can be counted; seed less"),
        ("api", ["--listen", "127.0.0.1:http"], "give a path or HOST:PORT"),
        ("api", ["--listen", "/nowhere/api.sock"], "cannot listen at /nowhere/api.sock"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    start: Start, settings: Settings, name: str, arguments: list[str], told: str
) -> None:
    command = start(name, settings, *arguments)
    assert command.process.wait(30) == 1
    assert command.process.stdout is not None
    command.reader.join()
    assert told in command.lines[-1]
    assert "Traceback" not in command.log()


def test_a_short_token_key_is_refused(start: Start, settings: Settings, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("short", encoding="utf-8")
    command = start("tokens", msgspec.structs.replace(settings, token_key_file=str(key)), "--users", "1",
                    "--ttl-s", "1")  # fmt: skip
    assert command.process.wait(30) == 1
    command.reader.join()
    assert "at least 32 bytes" in command.lines[-1]


def test_no_secret_is_in_the_logs(
    start: Start, serve: Serve, settings: Settings, market: Client, signer: Signer, master: RedisServer
) -> None:
    wrong = Path(settings.redis_master.password_file).with_name("wrong-password")
    wrong.write_text("not-the-password", encoding="utf-8")
    endpoint = msgspec.structs.replace(settings.redis_master, password_file=str(wrong))
    server = serve(msgspec.structs.replace(settings, redis_read=endpoint), wait=False)
    token = signer.issue("user-1", 60)

    async def scenario() -> None:
        async with asyncio.timeout(20):
            while "WRONGPASS" not in server.command.log():
                with contextlib.suppress(OSError):
                    async with connected(server.path, token):
                        pass

    asyncio.run(scenario())
    key = Path(settings.token_key_file).read_text(encoding="utf-8").strip()
    for secret in (master.password, "not-the-password", key, token):
        assert secret not in server.command.log()
