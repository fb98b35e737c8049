"""The ledger: every journal entry becomes exactly one row, whatever dies in between."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import msgspec
import pymysql
import pytest
import redis

from market import keys, scripts
from market.journal import read_entry
from market.settings import Settings
from tests.service import entries
from tests.service.client import prediction
from tests.service.conftest import Client, Start, end, until
from tests.service.entries import predict


def place_many(client: Client, count: int, first: int = 0) -> None:
    client.script_load(scripts.PLACE.text)
    pipeline = client.pipeline(transaction=False)
    for number in range(first, first + count):
        request = prediction(number, stake=1, option=number % 3)
        pipeline.execute_command(*scripts.place(f"user-{number % 100}", request, 3000))
    pipeline.execute()


def journal(client: Client) -> list[tuple[int, int, int]]:
    found: Any = client.xrange(keys.JOURNAL)
    rows = [read_entry(entry_id, fields) for entry_id, fields in found]
    return [row.place for row in rows if row is not None]


def ledger(sql: pymysql.cursors.Cursor) -> list[tuple[int, int, int]]:
    sql.execute("SELECT epoch, journal_ms, journal_seq FROM predictions ORDER BY 1, 2, 3")
    return list(sql.fetchall())


def count(sql: pymysql.cursors.Cursor) -> int:
    sql.execute("SELECT COUNT(*) FROM predictions")
    (value,) = sql.fetchone() or (0,)
    return int(value)


def pending(client: Client) -> int:
    with contextlib.suppress(redis.ResponseError):
        summary: Any = client.xpending(keys.JOURNAL, keys.LEDGER_GROUP)
        return int(summary["pending"])
    return 0


def drain(start: Start, settings: Settings) -> None:
    command = start("ledger", settings, "--drain")
    assert command.process.wait(30) == 0, command.log()


def test_a_drained_journal_is_in_sql(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    place_many(market, 2500)
    drain(start, settings)
    assert ledger(sql) == journal(market)
    assert pending(market) == 0
    sql.execute("SELECT user, idempotency_key, game, pool, option_index, stake FROM predictions LIMIT 1")
    assert sql.fetchone() == ("user-0", "k0", "match-1", "winner", 0, 1)


def test_an_empty_journal_is_drained_at_once(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    drain(start, settings)
    assert count(sql) == 0


def test_what_is_placed_while_it_runs_is_drained_until_sigterm(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    command = start("ledger", settings)
    for batch in range(3):
        place_many(market, 50, 50 * batch)
        until(lambda expected=50 * (batch + 1): count(sql) == expected, "the rows")  # type: ignore[misc]
    assert end(command.process) == 0
    assert ledger(sql) == journal(market)
    assert pending(market) == 0


@pytest.fixture
def cannot_acknowledge(market: Client, settings: Settings) -> Settings:
    """Settings of a ledger that reaches the moment between commit and acknowledgement, and stays there."""
    password = Path(settings.redis_master.password_file).read_text(encoding="utf-8").strip()
    market.execute_command("ACL", "SETUSER", "no-xack", "on", f">{password}", "~*", "&*", "+@all", "-xack")
    return msgspec.structs.replace(
        settings, redis_master=msgspec.structs.replace(settings.redis_master, user="no-xack")
    )


def test_killed_between_insert_and_acknowledgement_it_neither_loses_nor_doubles_a_row(
    start: Start,
    settings: Settings,
    cannot_acknowledge: Settings,
    market: Client,
    sql: pymysql.cursors.Cursor,
) -> None:
    place_many(market, 1200)
    dying = start("ledger", cannot_acknowledge)
    until(lambda: count(sql) > 0, "the first commit")
    dying.process.kill()
    dying.process.wait()
    committed = count(sql)
    assert pending(market) >= committed > 0
    place_many(market, 300, 1200)

    drain(start, settings)
    assert ledger(sql) == journal(market)
    assert pending(market) == 0


def test_killed_between_reading_and_insert_it_neither_loses_nor_doubles_a_row(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    place_many(market, 500)
    sql.execute("LOCK TABLES predictions WRITE")
    try:
        dying = start("ledger", settings)
        until(lambda: pending(market) == 500, "the ledger to have read")
        dying.process.kill()
        dying.process.wait()
    finally:
        sql.execute("UNLOCK TABLES")

    drain(start, settings)
    assert ledger(sql) == journal(market)
    assert pending(market) == 0


def test_killed_at_any_time_again_and_again_it_neither_loses_nor_doubles_a_row(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    small = msgspec.structs.replace(settings, ledger_batch_rows=7)
    place_many(market, 1000)
    dice = random.Random(5)
    for _ in range(5):
        dying = start("ledger", small)
        goal = count(sql) + dice.randint(1, 150)
        until(lambda goal=goal: count(sql) >= goal, "some rows")  # type: ignore[misc]
        dying.process.kill()
        dying.process.wait()

    drain(start, settings)
    assert ledger(sql) == journal(market)
    assert pending(market) == 0


def test_it_takes_over_what_a_dead_consumer_of_another_name_had_read(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    place_many(market, 40)
    market.xgroup_create(keys.JOURNAL, keys.LEDGER_GROUP, id="0")
    market.xreadgroup(keys.LEDGER_GROUP, "dead", {keys.JOURNAL: ">"}, count=25)
    assert pending(market) == 25
    drain(start, settings)
    assert ledger(sql) == journal(market)
    assert pending(market) == 0


def test_two_ledgers_at_once_do_not_double_a_row(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    other = msgspec.structs.replace(settings, node="node-2", ledger_batch_rows=50)
    ledgers = [start("ledger", settings), start("ledger", other)]
    place_many(market, 3000)
    until(lambda: count(sql) == 3000, "the rows")
    assert [end(command.process) for command in ledgers] == [0, 0]
    assert ledger(sql) == journal(market)


def test_it_waits_for_sql_and_goes_on(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    command = start("ledger", settings)
    place_many(market, 10)
    until(lambda: count(sql) == 10, "the rows")
    for _ in range(3):
        place_many(market, 10, count(sql))
        sql.execute("SELECT id FROM information_schema.processlist WHERE user = 'market_ledger'")
        for (connection,) in sql.fetchall():
            with contextlib.suppress(pymysql.MySQLError):
                sql.execute("KILL %s", (connection,))
        expected = market.xlen(keys.JOURNAL)
        until(lambda expected=expected: count(sql) == expected, "the rows after the loss")  # type: ignore[misc]
    assert command.process.poll() is None
    assert ledger(sql) == journal(market)


def test_it_survives_a_new_seed(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    command = start("ledger", settings)
    place_many(market, 10)
    until(lambda: count(sql) == 10, "the rows")
    market.delete(keys.JOURNAL)
    place_many(market, 10, 10)
    until(lambda: count(sql) == 20, "the rows of the new journal")
    assert command.process.poll() is None


def test_what_is_no_prediction_is_put_aside_and_the_rest_goes_on(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    correct: dict[str, str | int] = {
        "kind": "prediction",
        "amount": -1,
        "balance": 0,
        "user": "u",
        "key": "k",
        "game": "g",
        "pool": "p",
        "option": 0,
        "stake": 1,
        "epoch": 1,
    }
    wrong = [
        {"user": "user-1"},
        correct | {"stake": "many"},
        correct | {"stake": -1},
        correct | {"option": 256},
    ]
    for entry in wrong:
        market.xadd(keys.JOURNAL, entry)
    place_many(market, 3)
    drain(start, settings)
    assert count(sql) == 3
    assert pending(market) == 0
    aside: Any = market.xrange(keys.REJECTED)
    assert [fields.get(b"stake") for _, fields in aside] == [None, b"many", b"-1", b"1"]


def test_a_key_that_stands_in_the_ledger_already_does_not_stop_it(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    place_many(market, 1)
    market.delete(keys.receipt("user-0", "k0"))
    place_many(market, 3)
    command = start("ledger", settings, "--drain")
    assert command.process.wait(30) == 0
    assert count(sql) == 3
    until(lambda: "stands in SQL already" in command.log(), "the log")


def test_a_full_redis_is_drained_and_its_journal_shortened(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    for number in range(11):
        predict(market, "user-1", f"k{number}", entry_id=f"{1000 + number}-0")
    market.xgroup_create(keys.JOURNAL, keys.LEDGER_GROUP, id="0")
    try:
        market.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            predict(market, "user-1", "refused")
        market.eval(scripts.REPORT.text, 0, "eu-west-1", "", 1_000_000)
        entries.drain(settings)
    finally:
        market.config_set("maxmemory", 0)
    assert count(sql) == 11
    assert market.xlen(keys.JOURNAL) == 0


def test_acknowledged_entries_are_trimmed_but_for_the_youngest(
    start: Start, settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    for number in range(1000):
        entry = {
            "kind": "prediction",
            "amount": -1,
            "balance": 0,
            "user": "u",
            "key": f"old-{number}",
            "game": "g",
            "pool": "p",
            "option": 0,
            "stake": 1,
            "epoch": 1,
        }
        market.xadd(keys.JOURNAL, entry, id=f"{1000 + number}-0")
    place_many(market, 10)
    drain(start, settings)
    until(lambda: count(sql) == 1010, "the rows")
    drain(start, settings)
    assert 10 <= market.xlen(keys.JOURNAL) < 300
