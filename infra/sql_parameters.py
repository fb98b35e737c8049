"""The settings of the SQL servers, as an RDS parameter group holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from infra.alarms import SQL_MAX_CONNECTIONS
from infra.architecture import SqlTier

_FLUSH: Final[Mapping[Literal["everysec", "commit"], str]] = {"everysec": "2", "commit": "1"}
"""What InnoDB calls the ways to bring its log to the disk."""


def parameters(sql: SqlTier) -> Mapping[str, str]:
    """The settings that differ from those of RDS, by name, in order.

    Source: the thesis, chapter 4: 500 connections, and as an option the log flushed once a second, since a
    flush for each transaction stalled the server. RDS brings the binary log to the disk at each commit
    whatever this says, so that a replica may have rows that its source lost with its host (decision 22). The
    others are this project's: text of any language, and no connection without TLS.

    Args:
        sql: the servers.
    """
    return {
        "character_set_server": "utf8mb4",
        "innodb_flush_log_at_trx_commit": _FLUSH[sql.log_flush],
        "max_connections": str(SQL_MAX_CONNECTIONS),
        "require_secure_transport": "1",
    }


def series(sql: SqlTier) -> str:
    """The version without its patch level: `10.11`."""
    return ".".join(sql.engine_version.split(".")[:2])


def is_patch_named(sql: SqlTier) -> bool:
    """Whether the version has a patch level (`10.11.6`), so that RDS may not choose it."""
    return sql.engine_version != series(sql)


def family(sql: SqlTier) -> str:
    """The parameter group family of an engine and version: `mariadb10.11`, `mysql8.0`."""
    return sql.engine + series(sql)
