"""What tests of the journal share: entries as the scripts write them, and handlers without a connection."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pymysql

from market import keys, ledger_upkeep, sql
from market.audit import Audit
from market.flusher import Flusher
from market.handlers import handle
from market.journal import Entry, Place, read_entry
from market.journal_watch import JournalWatch
from market.ledger import Ledger
from market.live_store import LiveStore
from market.metrics import Metrics
from market.protocol import Reply, Request
from market.redis_client import redis_client
from market.settings import Settings
from market.sql_reader import SqlReader
from market.store import Failure
from market.tokens import Identity
from tests.service.conftest import Client, until


def append(client: Client, kind: str, user: str = "", *, entry_id: str = "*", **fields: Any) -> str:
    """Write an entry, and its id to the user's tail, as `journal.lua` does."""
    values = {"kind": kind, "epoch": client.get(keys.EPOCH), **({"user": user} if user else {}), **fields}
    journal_id: str = client.xadd(keys.JOURNAL, values, id=entry_id).decode()
    if user:
        client.rpush(keys.tail(user), journal_id)
    return journal_id


def predict(
    client: Client, user: str, key: str, *, pool: str = "winner", option: int = 0, entry_id: str = "*"
) -> str:
    """A prediction of 10."""
    return append(
        client,
        "prediction",
        user,
        entry_id=entry_id,
        **{"key": key, "game": "match-1", "pool": pool, "option": option},
        **{"stake": 10, "amount": -10, "balance": 90},
    )


def cancel(client: Client, user: str, key: str, pool: str = "winner") -> str:
    """The cancellation of such a prediction."""
    return append(client, "cancellation", user, key=key, game="match-1", pool=pool, amount=10, balance=100)


def entries(client: Client) -> list[Entry]:
    """All of the journal."""
    read = [read_entry(*item) for item in client.xrange(keys.JOURNAL)]
    return [entry for entry in read if entry is not None]


def copy(sql: pymysql.cursors.Cursor, place: Place | None) -> None:
    """Have the database `market_behind` come as far as a place, and say so."""
    for table in ("journal", "commands", "journal_positions"):
        sql.execute(f"TRUNCATE market_behind.{table}")
    if place is None:
        return
    for table in ("journal", "commands"):
        sql.execute(
            f"INSERT INTO market_behind.{table} SELECT * FROM market.{table}"  # noqa: S608
            " WHERE (epoch, journal_ms, journal_seq) < (%s, %s, %s)",
            place,
        )
    sql.execute("INSERT INTO market_behind.journal_positions VALUES (%s, %s, %s)", place)


def drain(settings: Settings) -> None:
    """Bring all of the journal to SQL, and shorten it."""
    Ledger(settings, threading.Event(), drain=True).run()


class Process:
    """What handlers need of an API process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics({})
        self.store = LiveStore(settings)
        self.flusher = Flusher(self.store, settings.flush_interval_ms)
        self.sql = SqlReader(settings)
        self.journal = JournalWatch(settings, self.store, self.sql)
        self.audit = Audit(settings, self.store)
        self.tracing = None

    async def ask(self, user: str, request: Request) -> Reply | Failure:
        """The answer to a request of a user."""
        answer: asyncio.Future[Reply | Failure] = asyncio.get_running_loop().create_future()
        identity = Identity(user, int(time.time()) + 60, frozenset(("bank",)))
        handle(self, identity, request, answer.set_result)  # type: ignore[arg-type]  # a part of an `Api`
        return await asyncio.wait_for(answer, 20)


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Process]:
    """A process whose store has connected."""
    process = Process(settings)
    await process.store.start()
    process.flusher.start()
    process.sql.start()
    try:
        await asyncio.to_thread(until, lambda: process.store.problem() is None, "the store")
        yield process
    finally:
        process.flusher.stop()
        process.sql.stop()
        await process.store.stop()


def keep_up(settings: Settings) -> None:
    """Note in SQL how far it is, as a ledger does now and then."""
    with (
        closing(redis_client(settings.redis_master)) as client,
        closing(sql.connect(settings.sql_master)) as connection,
    ):
        place = ledger_upkeep.drained(client)
        assert place is not None
        sql.insert_position(connection, place)
