"""The machine's own Redis, and the journal that waits for SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ami.node.document import Endpoint
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.secret_files import read_secret

JOURNAL: Final = "market:journal"
LEDGER_GROUP: Final = "ledger"
"""As the service's `keys` name them; a test holds both together."""

TIMEOUT_S: Final = 1.5
"""Of one reply; Redis answers these in less than 1 ms."""


def _gauge(name: str, meaning: str) -> Metric:
    return Metric(f"isochrone_redis_{name}", "gauge", meaning)


def _counter(name: str, meaning: str) -> Metric:
    return Metric(f"isochrone_redis_{name}_total", "counter", meaning)


JOURNAL_LENGTH: Final = _gauge("journal_entries", "entries of the journal that are in Redis")
LEDGER_BACKLOG: Final = Metric(
    "isochrone_ledger_backlog_entries", "gauge", "entries of the journal that wait for SQL"
)
IS_MASTER: Final = _gauge("master", "1 on a master, 0 on a replica")
LINK_UP: Final = _gauge("replica_link_up", "1 while a replica follows its master, 0 while it does not")
REPLICA_OFFSET: Final = Metric(
    "isochrone_redis_replica_offset_bytes",
    "gauge",
    "what a replica has confirmed to its master",
    ("replica",),
)
REPLICA_BEHIND: Final = Metric(
    "isochrone_redis_replica_behind_bytes", "gauge", "what a replica has not yet confirmed", ("replica",)
)
REPLICA_SILENT: Final = Metric(
    "isochrone_redis_replica_silent_seconds", "gauge", "since a replica last confirmed anything", ("replica",)
)
SAVED: Final = _gauge("append_only_file_ok", "1 when the last write to the append-only file went well")

INFO: Final[Mapping[str, Metric]] = {
    "connected_clients": _gauge("clients", "connected clients"),
    "blocked_clients": _gauge("clients_blocked", "clients that wait for an answer"),
    "maxclients": _gauge("clients_limit", "clients that may connect"),
    "rejected_connections": _counter("clients_rejected", "clients refused since too many are connected"),
    "used_memory": _gauge("memory_bytes", "memory that Redis uses"),
    "used_memory_rss": _gauge("memory_resident_bytes", "memory that Redis has from the kernel"),
    "maxmemory": _gauge("memory_limit_bytes", "memory above which writes are refused, 0 for none"),
    "total_commands_processed": _counter("commands", "commands processed"),
    "instantaneous_ops_per_sec": _gauge("commands_per_second", "commands a second, as Redis samples them"),
    "keyspace_hits": _counter("hits", "keys that were asked for and there"),
    "keyspace_misses": _counter("misses", "keys that were asked for and not there"),
    "evicted_keys": _counter("evicted", "keys evicted for want of memory"),
    "total_net_input_bytes": _counter("received_bytes", "bytes received"),
    "total_net_output_bytes": _counter("sent_bytes", "bytes sent"),
    "latest_fork_usec": _gauge("last_fork_microseconds", "how long the last fork held up the server"),
    "connected_slaves": _gauge("replicas", "connected replicas"),
    "master_repl_offset": _gauge("replication_offset_bytes", "what was written to the replication stream"),
    "slave_repl_offset": _gauge("replicated_offset_bytes", "what a replica has taken over"),
    "master_last_io_seconds_ago": _gauge("master_silent_seconds", "since a replica heard of its master"),
}
"""By their names in Redis's INFO; one that the server does not have is absent."""


@dataclass(frozen=True)
class RedisServer:
    """Figures of the Redis at `endpoint`, which is the machine's own."""

    endpoint: Endpoint
    password_file: Path
    user: str | None = None
    name: str = "redis"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        with closing(_client(self.endpoint, self.password_file, self.user)) as client:
            yield from info_figures(_asked(client.info))
            yield Figure(JOURNAL_LENGTH, _asked(lambda: client.xlen(JOURNAL)))


@dataclass(frozen=True)
class LedgerBacklog:
    """How many entries of the journal wait for SQL, as the master that the ledger drains knows it.

    The master is one of `servers`: the one that says so.
    """

    servers: Sequence[Endpoint]
    password_file: Path
    user: str | None = None
    name: str = "ledger"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        with closing(self._master()) as client:
            try:
                groups = _asked(lambda: client.xinfo_groups(JOURNAL))
            except _NoSuchKeyError:
                groups = []
            length = _asked(lambda: client.xlen(JOURNAL))
        waiting = backlog(groups, length)
        if waiting is None:
            raise MeasuringError("Redis cannot tell how many entries of the journal wait for the ledger")
        yield Figure(LEDGER_BACKLOG, waiting)

    def _master(self) -> redis.Redis:
        problem = MeasuringError("no Redis is the master")
        for server in self.servers:
            client = _client(server, self.password_file, self.user)
            try:
                if _asked(partial(client.info, "replication"))["role"] == "master":
                    return client
            except MeasuringError as error:
                problem = error
            client.close()
        raise problem


def info_figures(info: Mapping[str, Any]) -> Iterator[Figure]:
    """The figures in a server's INFO as redis-py reads it."""
    for name, metric in INFO.items():
        value = info.get(name)
        if isinstance(value, int | float) and value >= 0:
            yield Figure(metric, value)
    master = info.get("role") == "master"
    yield Figure(IS_MASTER, master)
    if not master and "master_link_status" in info:
        yield Figure(LINK_UP, info["master_link_status"] == "up")
    if "aof_last_write_status" in info:
        yield Figure(SAVED, info["aof_last_write_status"] == "ok")
    for replica in _replicas(info):
        labels = (f"{replica['ip']}:{replica['port']}",)
        yield Figure(REPLICA_OFFSET, replica["offset"], labels)
        yield Figure(REPLICA_BEHIND, max(0, info["master_repl_offset"] - replica["offset"]), labels)
        if replica["lag"] >= 0:
            yield Figure(REPLICA_SILENT, replica["lag"], labels)


def backlog(groups: Sequence[Mapping[str, Any]], length: int) -> int | None:
    """How many entries of the journal are not in SQL, None when Redis does not know.

    Those that no consumer has read, and those that one has read and not acknowledged: the ledger
    acknowledges what it has committed. Without its group nothing was ever read.

    Args:
        groups: the journal's consumer groups (XINFO GROUPS).
        length: how many entries the journal has.
    """
    for group in groups:
        if group["name"] in (LEDGER_GROUP, LEDGER_GROUP.encode()):
            lag = group.get("lag")
            return None if lag is None else int(lag) + int(group["pending"])
    return length


class _NoSuchKeyError(Exception):
    """There is no journal yet."""


def _client(endpoint: Endpoint, password_file: Path, user: str | None) -> redis.Redis:
    return redis.Redis(
        host=endpoint.host,
        port=endpoint.port,
        username=user,
        password=read_secret(password_file),
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def _asked(ask: Callable[[], Any]) -> Any:
    """What Redis answers.

    Raises:
        MeasuringError: when it does not.
    """
    try:
        return ask()
    except redis.ResponseError as error:
        if "no such key" in str(error):
            raise _NoSuchKeyError from error
        raise MeasuringError(f"Redis refuses: {error}") from error
    except (redis.RedisError, OSError) as error:
        raise MeasuringError(f"Redis does not answer: {error}") from error


def _replicas(info: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for index in range(int(info.get("connected_slaves", 0))):
        replica = info.get(f"slave{index}")
        if isinstance(replica, Mapping) and {"ip", "port", "offset", "lag"} <= replica.keys():
            yield replica
