"""The accounts of a SQL server that is AWS's: made by its administrator, and copied to its replicas."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pymysql

from ami.errors import AmiError
from ami.node.plan import SqlAccount, SqlAccounts

TIMEOUT_S: Final = 10
DATABASE: Final = "market"


class SqlAccountError(AmiError):
    """The accounts could not be made; no password is in the message."""


def make(accounts: SqlAccounts, authorities: Path | None) -> None:
    """Make the accounts with their passwords and rights; those that are there get both anew.

    Args:
        accounts: the accounts, and the one that makes them.
        authorities: whose certificates the server has to have; None where it is not AWS's.

    Raises:
        SqlAccountError: when the server cannot be reached or refuses.
    """
    server = accounts.server
    try:
        connection = pymysql.connect(
            host=server.host,
            port=server.port,
            user=accounts.admin.name,
            password=accounts.admin.password,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            write_timeout=TIMEOUT_S,
            ssl=ssl.create_default_context(cafile=str(authorities)) if authorities else None,
        )
        with closing(connection), connection.cursor() as cursor:
            for account in accounts.others:
                for statement, values in _statements(account):
                    cursor.execute(statement, values)
    except (pymysql.MySQLError, OSError) as error:
        raise SqlAccountError(
            f"the SQL accounts could not be made at {server.host}:{server.port}: {error}"
        ) from None


def _statements(account: SqlAccount) -> Iterator[tuple[str, tuple[str, ...]]]:
    """In the words that MariaDB and MySQL share; the rights are constants of the image."""
    yield "CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (account.name, account.password)
    yield "ALTER USER %s@'%%' IDENTIFIED BY %s", (account.name, account.password)
    yield f"GRANT {account.rights} ON {DATABASE}.* TO %s@'%%'", (account.name,)
