"""A journal that SQL does not drain: the service slows down, then refuses, and loses nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pymysql
import pytest

from market import journal_watch, keys
from market.journal_watch import JournalWatch
from market.protocol import ErrorCode, ListPools, Placed, Pools
from market.settings import Settings
from market.store import Failure
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, Start, until
from tests.service.entries import drain, entries, predict, running

Cursor = pymysql.cursors.Cursor


@pytest.fixture
def small(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, journal_max_entries=20, audit="writes")


def test_at_the_limit_writes_are_refused_reads_go_on_and_nothing_is_lost(
    serve: Serve, start: Start, small: Settings, market: Client, signer: Signer, sql: Cursor
) -> None:
    server = serve(small)
    until(lambda: market.get(keys.JOURNAL_LIMIT) == b"20", "the limit")

    async def scenario() -> list[str]:
        acknowledged = []
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            await client.ask(JOIN)
            for number in range(21):
                answer = await client.ask(prediction(number, stake=1))
                if not isinstance(answer, Placed):
                    break
                acknowledged.append(answer.journal_id)
            assert answer.code == ErrorCode.JOURNAL_FULL
            assert answer.retry_after_ms > 0
            assert market.hget(keys.account("user-1"), "balance") == b"%d" % (1000 - len(acknowledged))
            assert market.xlen(keys.JOURNAL) <= 20
            assert isinstance(await client.ask(ListPools(100, "match-1")), Pools)

            start("ledger", small)
            await asyncio.to_thread(until, lambda: market.xlen(keys.JOURNAL) < 10, "the shorter journal")
            answer = await client.ask(prediction(number, stake=1))
            acknowledged.append(answer.journal_id)
        return acknowledged

    acknowledged = asyncio.run(scenario())
    expected = len(acknowledged)

    def rows() -> int:
        return int(sql.execute("SELECT journal_ms, journal_seq FROM predictions ORDER BY 1, 2"))

    until(lambda: rows() == expected, "the rows")
    assert [f"{ms}-{sequence}" for ms, sequence in sql.fetchall()] == acknowledged


@pytest.mark.parametrize(
    ("held", "delay_s"), [(0, 0.0), (16, 0.0), (17, 0.25), (18, 0.5), (20, 1.0), (200, 1.0)]
)
def test_a_fuller_journal_makes_writes_slower(small: Settings, held: int, delay_s: float) -> None:
    watch = JournalWatch(small, Any, Any)  # type: ignore[arg-type]  # asks nobody
    watch.journal_status.entries = held
    assert watch.delay_s() == pytest.approx(delay_s)


def test_writes_are_held_back_and_reads_are_not(
    monkeypatch: pytest.MonkeyPatch, small: Settings, market: Client
) -> None:
    monkeypatch.setattr(journal_watch, "MAX_DELAY_S", 0.2)

    async def scenario() -> list[str]:
        order: list[str] = []

        async def ask(name: str, request: Any) -> None:
            await process.ask("user-1", request)
            order.append(name)

        async with running(small) as process:
            process.journal.start()
            process.journal.journal_status.entries = 20
            first = asyncio.ensure_future(ask("first write", prediction(1)))
            await asyncio.sleep(0)
            process.journal.journal_status.entries = 0
            await asyncio.gather(
                first, ask("second write", prediction(2)), ask("read", ListPools(3, "match-1"))
            )
            process.journal.stop()
        return order

    assert asyncio.run(scenario()) == ["read", "first write", "second write"]
    assert [entry.key for entry in entries(market)] == ["k1", "k2"]


def test_what_is_held_back_when_the_process_ends_is_done(small: Settings, market: Client) -> None:
    async def scenario() -> None:
        async with running(small) as process:
            process.journal.start()
            process.journal.journal_status.entries = 20
            asked = asyncio.ensure_future(process.ask("user-1", prediction(1)))
            await asyncio.sleep(0)
            process.journal.stop()
            assert not isinstance(await asked, Failure)

    asyncio.run(scenario())


def test_a_process_knows_how_the_journal_stands(settings: Settings, market: Client, sql: Cursor) -> None:
    for number in range(30):
        predict(market, "user-1", f"k{number}")

    async def scenario() -> tuple[Any, Any]:
        async with running(settings) as process:
            watch = process.journal
            watch.start()
            await asyncio.to_thread(until, lambda: watch.journal_status.entries == 30, "the first report")
            before = msgspec.structs.replace(watch.journal_status)
            seen = {name: read() for name, (_, read) in watch.gauges().items()}
            assert seen["market_journal_entries"] == seen["market_journal_backlog"] == 30
            await asyncio.to_thread(drain, settings)
            drained = "the drained journal"
            await asyncio.to_thread(until, lambda: watch.journal_status.drained_per_s > 0, drained)
            watch.stop()
            return before, watch.journal_status

    before, after = asyncio.run(scenario())
    assert (before.backlog, before.drained_per_s, before.replica) == (30, 0.0, "0-0-0")
    assert before.oldest_age_ms > 0
    assert (after.entries, after.backlog, after.oldest_age_ms) == (30, 0, 0)
    assert market.hvals(keys.POSITIONS)[0].split()[0].decode() == after.replica
