"""What a machine is to have and to start, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ami.node.document import Endpoint
from ami.node.system import Directory, File

UNIT_OF: Final[Mapping[str, str]] = {
    "mariadb": "mariadb.service",
    "redis": "redis-server.service",
    "sentinel": "redis-sentinel.service",
    "follow": "market-follow.service",
    "migrations": "market-migrate.service",
    "ledger": "market-ledger.service",
    "resolver": "market-resolver.service",
    "feed": "market-feed.service",
    "nginx": "nginx.service",
    "prometheus": "prometheus.service",
}
"""The unit of each service that has one; the API has one for each process, the certificate none."""

COMPANIONS: Final = ("isochrone-health.service", "isochrone-drain.service", "isochrone-reporter.service")
"""What every machine runs, whatever it is for."""

CERTIFICATE_UNIT: Final = "isochrone-certificate.service"
"""What brings a new certificate to nginx, and on the steward has it issued."""

TARGETS_UNIT: Final = "isochrone-targets.service"
"""What keeps the list of machines that Prometheus scrapes."""

API_UNITS: Final = "market-api@*.service"
"""The pattern of all API processes."""

ORDER: Final = (
    "mariadb",
    "redis",
    "sentinel",
    "follow",
    "migrations",
    "ledger",
    "resolver",
    "feed",
    "api",
    "nginx",
    "prometheus",
)
"""Data first, then the schema and what writes into it, then what users talk to."""


@dataclass(frozen=True)
class SqlAccount:
    """An account of a SQL server, and what it may do in the market's database."""

    name: str
    password: str = field(repr=False)
    rights: str


@dataclass(frozen=True)
class SqlAccounts:
    """The accounts to make on a server that is not the machine's own, and the one that makes them."""

    server: Endpoint
    admin: SqlAccount
    others: tuple[SqlAccount, ...]


@dataclass(frozen=True)
class Plan:
    """What to make, write and start, in this order; `notes` are for the log."""

    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    units: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sql_accounts: SqlAccounts | None = None


def api_unit(number: int) -> str:
    """The unit of an API process, counted from 0."""
    return f"market-api@{number}.service"
