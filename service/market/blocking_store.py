"""The control of the benchmark: the same store with database calls that hold up the whole process.

The 2015 thesis's server called its databases so, and wrote every prediction through to SQL before it
answered. The scripts, the reads and the row are those of the live path; only the waiting differs.
"""

from __future__ import annotations

import logging
from typing import Any, Final, TypeVar

import pymysql
import redis
from pymysql.connections import Connection

from market import calls, sql
from market.journal import Entry
from market.protocol import ErrorCode, PlacePrediction
from market.redis_client import redis_client
from market.scripts import Command, Script
from market.settings import RedisEndpoint, Settings
from market.store import Call, Done, Failure, Receipt, ReplyError, UnavailableError, failure

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0

T = TypeVar("T")


class BlockingStore:
    """See `market.store.Store`; every method returns only when its `done` has been called."""

    def __init__(self, settings: Settings) -> None:
        self._flush_interval_ms = settings.flush_interval_ms
        self._master = _Server("redis-master", settings.redis_master, writes=True)
        self._read = _Server("redis-read", settings.redis_read)
        self._sql_endpoint = settings.sql_master
        self._sql: Connection[Any] | None = None

    async def start(self) -> None:
        """See `Store.start`; connects, so that no user's request pays for it."""
        for server in (self._master, self._read):
            server.call(("PING",))
        try:
            self._sql = sql.connect(self._sql_endpoint)
        except (pymysql.MySQLError, OSError) as error:
            _log.warning("no connection to SQL yet: %s", error)

    async def stop(self) -> None:
        """See `Store.stop`."""
        self._master.close()
        self._read.close()
        self._close_sql()

    def problem(self) -> str | None:
        """See `Store.problem`."""
        for server in (self._master, self._read):
            if server.failing and isinstance(error := server.call(("PING",)), Exception):
                return f"{server.name}: {error}"
        return None

    def nearest(self, call: Call[T], done: Done[T]) -> None:
        """See `Store.nearest`."""
        done(call.read(self._read.call(call.command, call.script)))

    def master(self, call: Call[T], done: Done[T]) -> None:
        """See `Store.master`."""
        done(call.read(self._master.call(call.command, call.script)))

    def place(self, user: str, request: PlacePrediction, done: Done[Receipt]) -> None:
        """See `Store.place`."""
        call = calls.place(user, request, self._flush_interval_ms)
        result = call.read(self._master.call(call.command, call.script))
        if isinstance(result, Receipt) and not result.duplicate:
            done(self._write_through(user, request, result))
        else:
            done(result)

    def _write_through(self, user: str, request: PlacePrediction, receipt: Receipt) -> Receipt | Failure:
        """Write the row that the ledger will find there; without SQL the journal still has the prediction."""
        entry = Entry(
            receipt.epoch,
            receipt.journal_id,
            "prediction",
            user,
            request.key,
            request.game,
            request.pool,
            request.option,
            request.stake,
        )
        try:
            if self._sql is None:
                self._sql = sql.connect(self._sql_endpoint)
            sql.insert_prediction(self._sql, entry)
        except (pymysql.MySQLError, OSError) as error:
            _log.warning("the row was not written through: %s", error)
            self._close_sql()
            return failure(ErrorCode.UNAVAILABLE)
        return receipt

    def _close_sql(self) -> None:
        connection, self._sql = self._sql, None
        if connection is not None and connection.open:
            connection.close()


class _Server:
    """One Redis, called so that nothing else of the process runs until it has answered."""

    def __init__(self, name: str, endpoint: RedisEndpoint, *, writes: bool = False) -> None:
        self.name = name
        self.failing = False
        self._endpoint = endpoint
        self._writes = writes
        self._client: redis.Redis | None = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def call(self, command: Command, script: Script | None = None) -> Any:
        """The reply, or the error as `Link` reports it; `script` is loaded when the server lacks it."""
        try:
            if self._client is None:
                self._client = redis_client(self._endpoint, writes=self._writes, timeout_s=TIMEOUT_S)
            reply = self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.exceptions.NoScriptError:
            if script is None:
                return ReplyError("NOSCRIPT")
            loaded = self.call(("SCRIPT", "LOAD", script.text))
            return loaded if isinstance(loaded, Exception) else self.call(command)
        except redis.exceptions.ReadOnlyError as error:
            self.close()
            return UnavailableError(str(error))
        except redis.ResponseError as error:
            return ReplyError(str(error))
        except (redis.RedisError, UnavailableError, OSError) as error:
            self.failing = True
            self.close()
            return UnavailableError(str(error))
        self.failing = False
        return reply
