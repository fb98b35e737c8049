"""The settings of the SQL servers, as an RDS parameter group holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra.alarms import SQL_MAX_CONNECTIONS
from infra.architecture import SqlTier

PARAMETERS: Final[Mapping[str, str]] = {
    "character_set_server": "utf8mb4",
    "innodb_flush_log_at_trx_commit": "2",
    "max_connections": str(SQL_MAX_CONNECTIONS),
    "require_secure_transport": "1",
}
"""By name, in order.

Source: the thesis, chapter 4: 500 connections, and the log flushed once a second, since a flush for each
transaction stalled the server (a host crash may lose one second; the journal still has it). The others are
this project's: text of any language, and no connection without TLS.
"""


def family(sql: SqlTier) -> str:
    """The parameter group family of an engine and version: `mariadb10.11`, `mysql8.0`."""
    return sql.engine + ".".join(sql.engine_version.split(".")[:2])
