"""A batch of the journal on its way to SQL, while the ledger reads the next one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import redis
from pymysql.connections import Connection

from market import keys, sql
from market.acknowledgement import await_standbys
from market.journal import Entry, read_entry
from market.settings import Settings

_log = logging.getLogger(__name__)

Delivered = tuple[bytes, dict[bytes, bytes] | None]
"""An id of the stream, and the fields under it."""


class Delivery:
    """Writes one batch at a time on a thread of its own: rows, their commit, then the acknowledgement."""

    def __init__(self, client: redis.Redis, connection: Connection[Any], settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, "sql")
        self._batch: tuple[Sequence[bytes], list[Delivered], Future[list[Entry]]] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a batch is not acknowledged yet."""
        return self._batch is not None

    def close(self) -> None:
        """Wait until nothing uses the connections any more; what was not finished will be delivered again."""
        self._thread.shutdown(cancel_futures=True)

    def begin(self, delivered: Sequence[Delivered], *, again: bool = False) -> None:
        """Finish the last batch and begin to write the next; `again` says that it was acknowledged before.

        What the standbys lack may be lost yet: SQL is to know only what stays.

        Raises:
            UnavailableError: when the standbys do not have the batch in time.
        """
        entries, rejected = [], []
        for entry_id, fields in delivered:
            entry = read_entry(entry_id, fields)
            if entry is not None:
                entries.append(entry)
            elif not again:
                rejected.append((entry_id, fields))
        self.finish()
        if delivered:
            await_standbys(self._client, self._settings)
            ids = [entry_id for entry_id, _ in delivered]
            self._batch = ids, rejected, self._thread.submit(sql.insert, self._connection, entries)

    def finish(self) -> None:
        """Wait until the batch is committed, and acknowledge it.

        Raises:
            pymysql.MySQLError: when SQL refused it.
            LedgerError: when SQL did not take all of it.
        """
        if self._batch is None:
            return
        ids, rejected, written = self._batch
        self._batch = None
        for entry in written.result():
            _log.error("key %s of %s stands in SQL already; see %s", entry.key, entry.user, entry.journal_id)
        if not rejected:
            self._client.xack(keys.JOURNAL, keys.LEDGER_GROUP, *ids)  # a full server takes no transaction
            return
        pipeline = self._client.pipeline(transaction=True)
        for entry_id, fields in rejected:
            _log.error("journal entry %s cannot be read", entry_id.decode())
            pipeline.xadd(keys.REJECTED, {**(fields or {}), b"journal_id": entry_id})  # type: ignore[dict-item]
        pipeline.xack(keys.JOURNAL, keys.LEDGER_GROUP, *ids)
        pipeline.execute()
