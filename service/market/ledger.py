"""The ledger: brings every journal entry to SQL, once.

Delivery is at least once, by a consumer group of the journal; rows are exactly once, by their primary key,
the entry's place in the journal. An entry is acknowledged only after its row is committed. Whatever fails,
the process connects again and begins with what it had read and not acknowledged.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pymysql
import redis
from pymysql.connections import Connection

from market import keys, ledger_upkeep, sql
from market.journal import Place
from market.ledger_delivery import Delivered, Delivery
from market.redis_client import check_master, redis_client
from market.settings import MarketError, Settings
from market.sql_history import position
from market.store import UnavailableError

_log = logging.getLogger(__name__)

BLOCK_MS: Final = 1000
BATCH_PAUSE_S: Final = 0.2
"""How long entries gather before a batch that would not be full: fewer, larger commits."""
TAKE_OVER_IDLE_MS: Final = 30_000
"""How long another consumer may hold an entry without acknowledging it."""
DRAIN_IDLE_MS: Final = 1000
HOUSEKEEPING_S: Final = 5.0
"""How often entries are looked for that another consumer holds for too long."""
UPKEEP_S: Final = 1.0
"""How often it is noted how far SQL is, and the journal shortened."""
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
DRAIN_PATIENCE_S: Final = 60.0


class DrainError(MarketError):
    """The journal could not be drained in time."""


class Ledger:
    """Drains the journal until `stop` is set, or, with `drain`, until nothing is left in it."""

    def __init__(self, settings: Settings, stop: threading.Event, *, drain: bool = False) -> None:
        self._settings = settings
        self._stop = stop
        self._drain = drain
        self._consumer = settings.node
        self._idle_ms = DRAIN_IDLE_MS if drain else TAKE_OVER_IDLE_MS
        self._housekeeping_at_s = 0.0
        self._upkeep_at_s = 0.0
        self._noted: Place | None = None

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            DrainError: with `drain`, when the servers stay out of reach.
        """
        delay_s = BACKOFF_MIN_S
        failing_since_s: float | None = None
        while not self._stop.is_set():
            try:
                with self._connected() as (client, connection):
                    for rows in self._work(client, connection):
                        if rows:
                            delay_s, failing_since_s = BACKOFF_MIN_S, None
                return
            except (
                redis.RedisError,
                UnavailableError,
                pymysql.MySQLError,
                sql.LedgerError,
                OSError,
            ) as error:
                failing_since_s = failing_since_s or time.monotonic()
                if self._drain and time.monotonic() - failing_since_s > DRAIN_PATIENCE_S:
                    raise DrainError(f"the journal could not be drained: {error}") from error
                _log.warning("the ledger waits and connects again: %s", error)
                self._stop.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
                delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[redis.Redis, Connection[Any]]]:
        with closing(redis_client(self._settings.redis_master, writes=True)) as client:
            _make_group(client)
            with closing(sql.connect(self._settings.sql_master)) as connection:
                _log.info("the ledger drains the journal as %s", self._consumer)
                yield client, connection

    def _work(self, client: redis.Redis, connection: Connection[Any]) -> Iterator[int]:
        """Deliver batch after batch; yields how many entries each had."""
        with closing(Delivery(client, connection, self._settings)) as delivery:
            self._noted = None
            yield from self._write_again(client, connection, delivery)
            while entries := self._read(client, "0", None):  # what this consumer had read before it died
                delivery.begin(entries)
                delivery.finish()
                yield len(entries)
            while not self._stop.is_set():
                if self._drain or time.monotonic() >= self._housekeeping_at_s:
                    self._housekeeping_at_s = time.monotonic() + HOUSEKEEPING_S
                    check_master(client, self._settings.redis_master)
                    yield from self._take_over(client, delivery)
                if time.monotonic() >= self._upkeep_at_s:
                    delivery.finish()
                    self._keep_up(client, connection)
                entries = self._read(client, ">", None if self._drain or delivery.is_under_way else BLOCK_MS)
                delivery.begin(entries)
                yield len(entries)
                if len(entries) < self._settings.ledger_batch_rows:
                    delivery.finish()
                    if self._drain and not entries and _pending(client) == 0:
                        self._keep_up(client, connection)
                        return
                    self._stop.wait(BATCH_PAUSE_S)
            delivery.finish()

    def _write_again(
        self, client: redis.Redis, connection: Connection[Any], delivery: Delivery
    ) -> Iterator[int]:
        """What was delivered after SQL's position: its host may have failed and lost the last commits.

        What survives of SQL's log is its beginning, so that the position is true whatever was lost.
        """
        place = position(connection)
        for entries in ledger_upkeep.delivered_since(client, place, self._settings.ledger_batch_rows):
            delivery.begin(entries, again=True)
            yield len(entries)
        delivery.finish()

    def _take_over(self, client: redis.Redis, delivery: Delivery) -> Iterator[int]:
        """What other consumers read and hold for too long."""
        delivery.finish()
        start: bytes | str = "0-0"
        while True:
            start, entries, gone = client.execute_command(  # type: ignore[no-untyped-call]
                "XAUTOCLAIM",
                keys.JOURNAL,
                keys.LEDGER_GROUP,
                self._consumer,
                self._idle_ms,
                start,
                "COUNT",
                self._settings.ledger_batch_rows,
            )
            if gone:
                _log.error("%d journal entries were trimmed before they were delivered", len(gone))
            if entries:
                _log.info("took over %d entries", len(entries))
                delivery.begin(entries)
                delivery.finish()
                yield len(entries)
            if start == b"0-0":
                return

    def _read(self, client: redis.Redis, after: str, block_ms: int | None) -> list[Delivered]:
        reply: Any = client.xreadgroup(
            keys.LEDGER_GROUP,
            self._consumer,
            {keys.JOURNAL: after},
            count=self._settings.ledger_batch_rows,
            block=block_ms,
        )
        return reply[0][1] if reply else []

    def _keep_up(self, client: redis.Redis, connection: Connection[Any]) -> None:
        self._upkeep_at_s = time.monotonic() + UPKEEP_S
        place = ledger_upkeep.drained(client)
        if place is not None:
            if place != self._noted:
                sql.insert_position(connection, place)
                self._noted = place
            ledger_upkeep.trim(client, place)


def _make_group(client: redis.Redis) -> None:
    """Have the consumer group; one that is there is not asked for again, which a full server would refuse."""
    with contextlib.suppress(redis.ResponseError):  # there is no journal
        groups: Any = client.xinfo_groups(keys.JOURNAL)
        if any(group["name"] == keys.LEDGER_GROUP.encode() for group in groups):
            return
    try:
        client.xgroup_create(keys.JOURNAL, keys.LEDGER_GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


def _pending(client: redis.Redis) -> int:
    summary: Any = client.xpending(keys.JOURNAL, keys.LEDGER_GROUP)
    return int(summary["pending"])
