"""The machine's own SQL server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.cursors import DictCursor

from ami.node.document import Endpoint
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.secret_files import read_secret

TIMEOUT_S: Final = 2
"""Of one reply."""

_NOT_ALLOWED: Final = (1045, 1227)
"""What the server says to an account that may not see its replication (ER_SPECIFIC_ACCESS_DENIED_ERROR)."""


def _gauge(name: str, meaning: str) -> Metric:
    return Metric(f"isochrone_sql_{name}", "gauge", meaning)


def _counter(name: str, meaning: str) -> Metric:
    return Metric(f"isochrone_sql_{name}_total", "counter", meaning)


REPLICA_LAG: Final = _gauge(
    "replica_lag_seconds", "how far a replica is behind; absent while it is not known"
)
REPLICA_RUNS: Final = _gauge("replica_runs", "1 while a replica fetches and applies, 0 while it does not")

STATUS: Final[Mapping[str, Metric]] = {
    "Threads_connected": _gauge("connections", "connections of clients"),
    "Threads_running": _gauge("connections_busy", "connections that are executing something"),
    "Max_used_connections": _gauge("connections_peak", "the most connections since the server started"),
    "Connection_errors_max_connections": _counter(
        "connections_rejected", "connections refused since too many are there"
    ),
    "Aborted_connects": _counter("connections_failed", "connections that did not come about"),
    "Queries": _counter("queries", "statements executed, those in stored programs too"),
    "Questions": _counter("questions", "statements that clients have sent"),
    "Slow_queries": _counter("slow_queries", "statements above long_query_time"),
    "Bytes_received": _counter("received_bytes", "bytes received"),
    "Bytes_sent": _counter("sent_bytes", "bytes sent"),
    "Com_insert": _counter("inserts", "INSERT statements executed"),
    "Innodb_row_lock_waits": _counter("lock_waits", "times that a statement waited for a row's lock"),
    "Innodb_buffer_pool_reads": _counter("buffer_misses", "pages that had to be read from the disk"),
    "Innodb_buffer_pool_read_requests": _counter("buffer_reads", "pages that were asked for"),
}
"""By their names in SHOW GLOBAL STATUS; one that the server does not have is absent."""


@dataclass(frozen=True)
class SqlServer:
    """Figures of the SQL server at `endpoint`, which is the machine's own.

    Replication is seen only by an account that may (SLAVE MONITOR, or REPLICATION CLIENT).
    """

    endpoint: Endpoint
    user: str
    password_file: Path
    name: str = "sql"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        try:
            with closing(self._connect()) as connection, connection.cursor() as cursor:
                cursor.execute("SHOW GLOBAL STATUS")
                yield from status_figures(
                    {row["Variable_name"]: str(row["Value"]) for row in cursor.fetchall()}
                )
                yield from self._replication(cursor)
        except (pymysql.MySQLError, OSError) as error:
            raise MeasuringError(f"the SQL server does not answer: {error}") from error

    def _replication(self, cursor: DictCursor) -> Iterator[Figure]:
        try:
            cursor.execute("SHOW SLAVE STATUS")
        except pymysql.MySQLError as error:
            if error.args and error.args[0] in _NOT_ALLOWED:
                return
            raise
        yield from replica_figures(cursor.fetchone())

    def _connect(self) -> pymysql.Connection[DictCursor]:
        return pymysql.connect(
            host=self.endpoint.host,
            port=self.endpoint.port,
            user=self.user,
            password=read_secret(self.password_file),
            autocommit=True,
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            write_timeout=TIMEOUT_S,
            cursorclass=DictCursor,
        )


def status_figures(status: Mapping[str, str]) -> Iterator[Figure]:
    """The figures in a server's global status."""
    for name, metric in STATUS.items():
        value = status.get(name)
        if value is not None and value.isdigit():
            yield Figure(metric, int(value))


def replica_figures(status: Mapping[str, Any] | None) -> Iterator[Figure]:
    """The figures in a replica's status; nothing for a server that is none."""
    if status is None:
        return
    running = status["Slave_IO_Running"] == status["Slave_SQL_Running"] == "Yes"
    yield Figure(REPLICA_RUNS, running)
    lag = status["Seconds_Behind_Master"]
    if lag is not None:
        yield Figure(REPLICA_LAG, int(lag))
