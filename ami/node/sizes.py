"""How much of the machine each service gets."""

from __future__ import annotations

from typing import Final

REDIS_OWN_SHARE: Final = 0.75
REDIS_SHARED_SHARE: Final = 0.5
"""Of the memory, for Redis on a machine of its own and on a node; the lab takes the same. Writing its file
anew needs room for what changes meanwhile."""

BUFFER_POOL_SHARE: Final = 0.125
"""Of the memory, for MariaDB's pages on a node: the working set is the end of one table."""

LEAST_BUFFER_POOL_MIB: Final = 64
LOG_SHARE: Final = 0.25
LEAST_LOG_MIB: Final = 16
MOST_LOG_MIB: Final = 1024
"""MariaDB's log is a quarter of the pages that it protects."""

NGINX_SHARE: Final = 1 / 32
NGINX_CONNECTION_BYTES: Final = 456
MOST_WORKER_CONNECTIONS: Final = 165_535
"""The thesis's worker_connections, which cost a worker 72 MiB from the start (measured): less on a small
machine."""

HANDSHAKES_PER_S: Final = 50
HANDSHAKES_BURST: Final = 500
"""What one address may open: a mobile network has many users behind one, and all come at kick-off."""


def redis_mib(memory_mib: int, *, shared: bool) -> int:
    """The data that a Redis may hold, in MiB."""
    return int(memory_mib * (REDIS_SHARED_SHARE if shared else REDIS_OWN_SHARE))


def buffer_pool_mib(memory_mib: int) -> int:
    """MariaDB's buffer pool, in MiB."""
    return max(LEAST_BUFFER_POOL_MIB, int(memory_mib * BUFFER_POOL_SHARE))


def log_file_mib(memory_mib: int) -> int:
    """MariaDB's redo log, in MiB."""
    return min(MOST_LOG_MIB, max(LEAST_LOG_MIB, int(buffer_pool_mib(memory_mib) * LOG_SHARE)))


def worker_connections(memory_mib: int, cores: int) -> int:
    """The connections of each nginx worker; a user takes two."""
    room = int(memory_mib * 2**20 * NGINX_SHARE) // cores // NGINX_CONNECTION_BYTES
    return min(MOST_WORKER_CONNECTIONS, max(1024, room))
