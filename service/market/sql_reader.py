"""Reads of SQL beside the event loop: a few threads, each with connections of its own."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

import pymysql
from pymysql.connections import Connection

from market import sql
from market.origins import carried, current, within
from market.protocol import ErrorCode
from market.settings import MarketError, Settings
from market.store import Done, Failure, failure

_log = logging.getLogger(__name__)

THREADS: Final = 4
MAX_WAITING: Final = 256
"""Reads that may wait for a thread; more fail at once."""
MAX_WAIT_S: Final = 5.0
"""A read that waited longer for its thread fails: whoever asked has given up."""
REPLY_TIMEOUT_S: Final = 5.0

T = TypeVar("T")
Server = Literal["read", "master"]
"""The region's replica, or the master."""

_UNKNOWN_VARIABLE: Final = 1193


class SqlReader:
    """Runs reads on threads and hands their results to the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._endpoints = {"read": settings.sql_read, "master": settings.sql_master}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._threads: list[threading.Thread] = []
        self._failing: set[Server] = set()

    def start(self) -> None:
        """Begin to take reads; connects with the first."""
        self._loop = asyncio.get_running_loop()
        for number in range(THREADS):
            thread = threading.Thread(target=self._work, name=f"sql-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Take no more reads; waits for none that is under way."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()

    def submit(self, server: Server, read: Callable[[Connection[Any]], T], done: Done[T]) -> None:
        """Run a read on a server; `done` gets its result, or UNAVAILABLE, on the event loop."""
        if not self._threads or self._waiting >= MAX_WAITING:
            self._loop.call_soon(done, failure(ErrorCode.UNAVAILABLE))
            return
        self._waiting += 1

        def answered(result: Any) -> None:
            self._waiting -= 1
            done(result)

        self._jobs.put(_Job(server, read, carried(answered)))

    def _work(self) -> None:
        connections: dict[Server, Connection[Any]] = {}
        while (job := self._jobs.get()) is not None:
            result = within(job.origin, self._run, job, connections)
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(job.answered, result)
        for connection in connections.values():
            with suppress(pymysql.MySQLError):
                connection.close()

    def _run(self, job: _Job, connections: dict[Server, Connection[Any]]) -> Any:
        if time.monotonic() - job.asked_s > MAX_WAIT_S:
            return failure(ErrorCode.UNAVAILABLE)
        fresh = job.server not in connections
        try:
            return self._try(job, connections)
        except (pymysql.MySQLError, OSError, MarketError) as error:
            self._close(job.server, connections)
            if fresh or isinstance(error, pymysql.ProgrammingError):
                return self._unavailable(job.server, error)
        except Exception:
            self._close(job.server, connections)
            _log.exception("a read of SQL failed")
            return failure(ErrorCode.INTERNAL)
        try:  # the connection was kept from before and may have been closed since
            return self._try(job, connections)
        except (pymysql.MySQLError, OSError, MarketError) as error:
            self._close(job.server, connections)
            return self._unavailable(job.server, error)

    def _unavailable(self, server: Server, error: Exception) -> Failure:
        """What a reader is told; the log has the first failure of many."""
        if server not in self._failing:
            self._failing.add(server)
            _log.warning("the %s SQL server cannot be read: %s", server, error)
        return failure(ErrorCode.UNAVAILABLE)

    def _try(self, job: _Job, connections: dict[Server, Connection[Any]]) -> Any:
        if job.server not in connections:
            connection = sql.connect(self._endpoints[job.server], reply_timeout_s=REPLY_TIMEOUT_S)
            connections[job.server] = connection
            _limit_statements(connection)
        result = job.read(connections[job.server])
        if job.server in self._failing:
            self._failing.discard(job.server)
            _log.info("the %s SQL server can be read again", job.server)
        return result

    def _close(self, server: Server, connections: dict[Server, Connection[Any]]) -> None:
        connection = connections.pop(server, None)
        if connection is not None and connection.open:
            with suppress(pymysql.MySQLError, OSError):
                connection.close()


class _Job:
    def __init__(
        self, server: Server, read: Callable[[Connection[Any]], Any], answered: Callable[[Any], None]
    ) -> None:
        self.server = server
        self.read = read
        self.answered = answered
        self.asked_s = time.monotonic()
        self.origin = current()


def _limit_statements(connection: Connection[Any]) -> None:
    """Have the server itself give up a statement that nobody waits for any more."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SET SESSION max_statement_time = %s", (REPLY_TIMEOUT_S,))
        except pymysql.MySQLError as error:
            if error.args[0] != _UNKNOWN_VARIABLE:
                raise
            cursor.execute("SET SESSION max_execution_time = %s", (int(REPLY_TIMEOUT_S * 1000),))
