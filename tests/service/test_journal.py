"""The journal's entries, and what the ledger does beside draining them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import msgspec
import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import keys, ledger_upkeep, scripts
from market.calls_journal import read_trimmed
from market.journal import MAX_WORD, REQUIRED, Entry, Place, place_of, read_entry
from market.redis_client import redis_client
from market.settings import Settings, SqlEndpoint
from market.sql import connect
from market.sql_history import position
from tests.service.client import prediction
from tests.service.conftest import Client
from tests.service.entries import append, drain, entries, keep_up, predict

HOUR_MS = 3_600_000
PREDICTION = {
    b"kind": b"prediction", b"epoch": b"3", b"user": b"u", b"key": b"k", b"game": b"g", b"pool": b"p",
    b"option": b"1", b"stake": b"2", b"amount": b"-2", b"balance": b"5",
}  # fmt: skip
WORD = st.integers(0, MAX_WORD - 1)


@given(st.dictionaries(st.binary(max_size=8), st.binary(max_size=8), max_size=8))
def test_whatever_the_stream_holds_is_an_entry_or_nothing(fields: dict[bytes, bytes]) -> None:
    assert read_entry(b"1-1", fields) is None
    read = read_entry(b"1-1", PREDICTION | fields)
    assert read is None or isinstance(read, Entry)


def test_a_prediction_is_read() -> None:
    assert read_entry(b"5-7", PREDICTION) == Entry(
        3, "5-7", "prediction", "u", "k", "g", "p", 1, 2, amount=-2, balance=5
    )


@pytest.mark.parametrize("missing", sorted(PREDICTION))
def test_a_prediction_has_all_of_its_fields(missing: bytes) -> None:
    assert read_entry(b"5-7", {k: v for k, v in PREDICTION.items() if k != missing}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {b"kind": b"unheard_of"},
        {b"unknown": b"field"},
        {b"stake": b"0"},
        {b"option": b"64"},
        {b"epoch": b"-1"},
        {b"balance": b"9007199254740992"},
        {b"user": b"a b"},
        {b"body": b"{"},
        {b"kind": b"command", b"body": b"[]"},
        {b"kind": b"command", b"body": b'[["user-1","list_games",0,1]]'},
        {b"kind": b"command", b"body": b'[["user-1","DROP TABLE",0,1,1]]'},
    ],
)
def test_a_wrong_entry_is_not_read(wrong: dict[bytes, bytes]) -> None:
    assert read_entry(b"5-7", PREDICTION | wrong) is None


@given(WORD, WORD, WORD)
def test_a_place_is_read_as_it_is_written(epoch: int, ms: int, sequence: int) -> None:
    place = Place(epoch, ms, sequence)
    assert place_of(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "1", "1-2", "1-2-3-4", "1--3", "-1-2-3", f"1-2-{MAX_WORD}", "1-2-" + "9" * 50]
)
def test_other_texts_are_no_places(text: str) -> None:
    assert place_of(text) is None


def test_every_kind_is_drained_and_nothing_else(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    money = {"amount": 5, "balance": 7}
    values: dict[str, Any] = {"key": "k", "game": "g", "pool": "p", "option": 1, "stake": 2, **money}
    for kind, required in REQUIRED.items():
        if kind != "command":
            append(market, kind, "user-1", **{name: values[name] for name in required if name != "user"})
    for kind in ("game", "pool", "event"):
        append(market, kind, body='{"what":"happened"}')
    append(market, "command", body='[["user-1","list_games",0,1700000000000,3]]')
    written = entries(market)
    append(market, "prediction", "user-1", stake="many")
    append(market, "unheard_of")

    drain(settings)
    sql.execute("SELECT kind FROM journal ORDER BY epoch, journal_ms, journal_seq")
    assert [kind for (kind,) in sql.fetchall()] == [
        entry.kind for entry in written if entry.kind != "command"
    ]
    sql.execute("SELECT user, type FROM commands")
    assert sql.fetchall() == (("user-1", "list_games"),)
    assert market.xlen(keys.REJECTED) == 2


def test_the_position_is_before_whatever_is_not_acknowledged(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    epoch = int(market.get(keys.EPOCH))
    ids = [predict(market, "user-1", f"k{number}") for number in range(4)]
    market.xgroup_create(keys.JOURNAL, keys.LEDGER_GROUP, id="0")
    market.xreadgroup(keys.LEDGER_GROUP, "one", {keys.JOURNAL: ">"}, count=3)
    market.xack(keys.JOURNAL, keys.LEDGER_GROUP, ids[0], ids[2])
    with closing(connect(settings.sql_master)) as connection:
        assert position(connection) == Place(0, 0, 0)
        keep_up(settings)
        assert position(connection) == place_of(f"{epoch}-{ids[1]}")
        market.xack(keys.JOURNAL, keys.LEDGER_GROUP, ids[1])
        keep_up(settings)
        third = place_of(f"{epoch}-{ids[2]}")
        assert third is not None
        assert position(connection) == third.following


def test_a_new_epoch_is_behind_no_position(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    """What is written after a failover stands after the position, even with ids that were there before."""
    predict(market, "user-1", "k1")
    drain(settings)
    before = int(market.get(keys.EPOCH))
    market.delete(keys.JOURNAL, keys.tail("user-1"))
    market.set(keys.EPOCH, before + 1)
    predict(market, "user-1", "k2", entry_id="5-1")
    with closing(connect(settings.sql_master)) as connection:
        assert position(connection) < entries(market)[0].place
        drain(settings)
        assert position(connection) == Place(before + 1, 5, 2)


@pytest.fixture
def old(settings: Settings, market: Client, sql: pymysql.cursors.Cursor) -> Place:
    """A hundred entries an hour and more old, drained; the place of the fiftieth."""
    seconds, _ = market.time()
    first_ms = seconds * 1000 - 2 * HOUR_MS
    for number in range(100):
        predict(market, "user-1", f"k{number}", entry_id=f"{first_ms + number}-0")
    place = Place(int(market.get(keys.EPOCH)), first_ms + 50, 0)
    market.hset(keys.POSITIONS, "slow", f"{place} {seconds * 1000}")
    return place


def test_the_journal_keeps_what_the_slowest_replica_has_not(
    settings: Settings, market: Client, old: Place
) -> None:
    market.hset(keys.POSITIONS, "fast", f"{old._replace(ms=old.ms + 40)} {old.ms + 3 * HOUR_MS}")
    drain(settings)
    assert entries(market)[0].place == old
    assert read_trimmed(market.get(keys.JOURNAL_TRIMMED)) == old


def test_a_replica_that_nobody_reads_is_not_waited_for(
    settings: Settings, market: Client, old: Place
) -> None:
    market.hset(keys.POSITIONS, "slow", f"{old} {old.ms - HOUR_MS}")
    drain(settings)
    assert entries(market) == []
    assert not market.hexists(keys.POSITIONS, "slow")


def test_a_replica_of_an_earlier_epoch_says_nothing_of_this_one(
    settings: Settings, market: Client, old: Place
) -> None:
    seconds, _ = market.time()
    market.hset(keys.POSITIONS, "slow", f"{old._replace(epoch=1)} {seconds * 1000}")
    drain(settings)
    assert len(entries(market)) == 100


def test_a_journal_that_fills_up_waits_for_no_replica_and_keeps_what_sql_may_lose(
    settings: Settings, market: Client, old: Place
) -> None:
    seconds, _ = market.time()
    market.set(keys.JOURNAL_LIMIT, 150)
    predict(market, "user-1", "minute", entry_id=f"{(seconds - 30) * 1000}-0")
    predict(market, "user-1", "young")
    drain(settings)
    assert [entry.key for entry in entries(market)] == ["young"]


def test_what_a_sql_host_lost_when_it_failed_is_written_again(
    settings: Settings, market: Client, sql: pymysql.cursors.Cursor
) -> None:
    """A host that fails may lose the last commits, the newest positions among them."""
    for number in range(30):
        predict(market, "user-1", f"k{number}")
        if number == 9:
            drain(settings)
    append(market, "command", body='[["user-1","list_games",0,1700000000000,3]]')
    append(market, "unheard_of")
    drain(settings)
    written = [entry.place for entry in entries(market)]
    lost = [tuple(place) for place in written[10:]]
    for table in ("predictions", "journal", "commands"):
        sql.execute(f"DELETE FROM {table} WHERE (epoch, journal_ms, journal_seq) IN %s", (lost,))  # noqa: S608
    sql.execute(
        "DELETE FROM journal_positions WHERE (epoch, journal_ms, journal_seq) > (%s, %s, %s)", lost[0]
    )
    assert market.xpending(keys.JOURNAL, keys.LEDGER_GROUP)["pending"] == 0

    drain(msgspec.structs.replace(settings, ledger_batch_rows=7))
    sql.execute("SELECT epoch, journal_ms, journal_seq FROM journal UNION ALL"
                " SELECT epoch, journal_ms, journal_seq FROM commands ORDER BY 1, 2, 3")  # fmt: skip
    assert list(sql.fetchall()) == written
    assert market.xlen(keys.REJECTED) == 1


def test_the_tail_forgets_what_was_trimmed(settings: Settings, market: Client, old: Place) -> None:
    drain(settings)
    market.script_load(scripts.PLACE.text)
    for number in range(30):
        market.execute_command(*scripts.place("user-1", prediction(number, stake=1, key=f"n{number}"), 300))
    assert market.llen(keys.tail("user-1")) == 50 + 30


def test_a_replica_shows_its_own_position(
    mariadb: SqlEndpoint, settings: Settings, market: Client, sql: Any
) -> None:
    predict(market, "user-1", "k1")
    drain(settings)
    behind = msgspec.structs.replace(settings.sql_read, database="market_behind")
    with closing(connect(behind)) as connection:
        assert position(connection) == Place(0, 0, 0)


def test_without_a_journal_there_is_nothing_to_note(settings: Settings, market: Client) -> None:
    with closing(redis_client(settings.redis_master)) as client:
        assert ledger_upkeep.drained(client) is None
