"""The secrets of a stack: their names in Secrets Manager, and which machines read or write which.

Permissions, replication to other regions and what a machine is told at boot are made from this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args

from infra.architecture import Architecture
from infra.flows import Role, places
from infra.site import Site

SecretKey = Literal[
    "redis-password",
    "sql-admin",
    "sql-ledger",
    "sql-reader",
    "token-key",
    "tls-certificate",
    "redis-replica",
    "redis-sentinel",
]
"""What a secret is for.

`redis-password` is that of every Redis server; where there are standbys it is the service's own there,
`redis-replica` lets a server follow another, and `redis-sentinel` promotes one. `sql-admin` owns the
database and makes its schema and users, of which `sql-ledger` writes history and `sql-reader` reads it;
`token-key` signs the users' tokens; `tls-certificate` is the certificate of the play name with its chain and
key, as PEM.
"""

STANDBY_KEYS: Final[tuple[SecretKey, ...]] = ("redis-replica", "redis-sentinel")
"""Those of a stack whose Redis has standbys only."""

SECRET_KEYS: Final[tuple[SecretKey, ...]] = tuple(
    key for key in get_args(SecretKey) if key not in STANDBY_KEYS
)
"""Those of every stack."""

SQL_USERS: Final[Mapping[SecretKey, str]] = {
    "sql-admin": "market_migrate",
    "sql-ledger": "market_ledger",
    "sql-reader": "market_reader",
}
"""The accounts of the SQL servers, by the secret that holds their password."""

_NODE: Final[tuple[SecretKey, ...]] = ("redis-password", "sql-reader", "token-key", "tls-certificate")
_CORE: Final[tuple[SecretKey, ...]] = ("redis-password", "sql-admin", "sql-ledger", "sql-reader", "token-key")


def secret_name(site: Site, key: SecretKey) -> str:
    """The name of a secret in Secrets Manager, the same in every region that has a copy of it."""
    return f"isochrone/{site.architecture.name}/{key}"


def secret_keys(architecture: Architecture) -> tuple[SecretKey, ...]:
    """The secrets of a stack."""
    return SECRET_KEYS + (STANDBY_KEYS if architecture.redis.standbys else ())


def reads(architecture: Architecture, role: Role) -> tuple[SecretKey, ...]:
    """The secrets that the machines of a role read, in the order of `secret_keys`."""
    found = set(_reads(architecture, role))
    return tuple(key for key in secret_keys(architecture) if key in found)


def writes(architecture: Architecture, role: Role) -> tuple[SecretKey, ...]:
    """The secrets that the machines of a role put a new value into: a certificate that ACME has issued."""
    if role == steward(architecture) and architecture.certificate == "acme":
        return ("tls-certificate",)
    return ()


def steward(architecture: Architecture) -> Role:
    """The role that drains the journal, makes the schema and renews the certificate."""
    return "core" if architecture.core else "node"


def secret_regions(architecture: Architecture, key: SecretKey) -> tuple[str, ...]:
    """The regions in which a secret is read, home first: it is kept there and copied to the others."""
    reading = {place.region for place in places(architecture) if key in reads(architecture, place.role)}
    others = sorted(reading - {architecture.home})
    return (architecture.home, *others)


def _reads(architecture: Architecture, role: Role) -> Iterator[SecretKey]:
    if role == "node":
        yield from _NODE
    if role == "redis":
        yield "redis-password"
        yield from STANDBY_KEYS
    if role == "node" and architecture.redis.placement == "replicated":
        yield "redis-replica"
    if role == steward(architecture):
        yield from _CORE
        yield from writes(architecture, role)
