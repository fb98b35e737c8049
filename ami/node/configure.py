"""From what a machine is told, its secrets and what it has, to what it is to have and to start. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ami import render
from ami.node import paths, sizes
from ami.node.certificates import Pair, certificate_file
from ami.node.document import Document, DocumentError, Endpoint, RedisPeers, SqlPeers
from ami.node.machine import Machine
from ami.node.plan import (
    CERTIFICATE_UNIT,
    COMPANIONS,
    ORDER,
    TARGETS_UNIT,
    UNIT_OF,
    Plan,
    SqlAccount,
    SqlAccounts,
    api_unit,
)
from ami.node.prometheus import configuration
from ami.node.redis_files import following_endpoint, redis_endpoint, redis_files, redis_machines
from ami.node.secret_store import SecretValues
from ami.node.system import Directory, File

HERE: Final = "127.0.0.1"
ADMIN: Final = "sql-admin"
RIGHTS: Final = {
    ADMIN: "ALL PRIVILEGES",
    "sql-ledger": "SELECT, INSERT",
    "sql-reader": "SELECT",
}
"""What each account may do in the market's database, by the key of its secret."""

RDS_SUFFIX: Final = ".rds.amazonaws.com"
"""The names of AWS's SQL servers, which speak TLS only, with certificates of AWS's own authorities."""

INSTEAD: Final = {
    "grafana": "Prometheus answers at 127.0.0.1:9090; a Grafana elsewhere reaches it through a session",
}
"""What there is in the place of a service that the image does not have."""

_HIDDEN: Final = 0o640
_SPARE_DESCRIPTORS: Final = 512


def configure(
    document: Document,
    secrets: SecretValues,
    machine: Machine,
    tls: Pair | None,
    master: Endpoint | None = None,
) -> Plan:
    """The plan for a machine.

    Args:
        document: what it is told.
        secrets: those that the document names.
        machine: what it is.
        tls: nginx's certificate with its key.
        master: where the Redis master is; where the document says when none.

    Raises:
        DocumentError: when the document is for another machine, or contradicts itself.
        SecretError: when a secret is needed that the document does not have the machine read.
        UnsafeValueError: when a value has characters that a configuration file cannot hold.
    """
    if document.region != machine.region:
        raise DocumentError(
            f"the user data is for {document.region} and the machine is in {machine.region}:"
            " start it from its own region's template"
        )
    return Plan(
        tuple(_directories(document)),
        tuple(_files(document, secrets, machine, tls, master)),
        tuple(_units(document)),
        tuple(_notes(document, secrets)),
        _remote_accounts(document, secrets),
    )


def rds_hosts(document: Document) -> tuple[str, ...]:
    """The SQL servers of AWS's that the machine talks to."""
    sql = document.sql
    endpoints = (sql.master, sql.read) if sql else ()
    return tuple(dict.fromkeys(e.host for e in endpoints if e and e.host.endswith(RDS_SUFFIX)))


def _directories(document: Document) -> Iterator[Directory]:
    if document.runs("redis"):
        yield Directory(paths.REDIS_DATA, 0o750, "redis", "redis")
    if document.runs("mariadb"):
        yield Directory(paths.MARIADB_DATA, 0o750, "mysql", "mysql")
    if document.runs("nginx"):
        yield Directory(paths.TLS, 0o700)
    if document.runs("prometheus"):
        yield Directory(paths.PROMETHEUS_DATA, 0o750, "prometheus", "prometheus")


def _files(
    document: Document, secrets: SecretValues, machine: Machine, tls: Pair | None, master: Endpoint | None
) -> Iterator[File]:
    if document.redis and document.sql:
        yield from _market(document, document.redis, document.sql, machine)
    if document.runs("redis") and document.redis:
        yield from redis_files(document, document.redis, secrets, machine, master or document.redis.master)
    if document.runs("mariadb") and document.sql:
        yield File(paths.MARIADB, _mariadb(document.sql, machine))
        yield File(paths.MARIADB_ACCOUNTS, _accounts(document.sql, secrets), _HIDDEN, group="mysql")
    if document.runs("nginx"):
        yield File(paths.NGINX, _nginx(document, machine))
        if tls is not None:
            yield certificate_file(tls)
    if document.runs("prometheus"):
        yield File(paths.PROMETHEUS, configuration(document))


def _market(document: Document, redis: RedisPeers, sql: SqlPeers, machine: Machine) -> Iterator[File]:
    processes = {
        "api": (paths.API_SETTINGS, "sql-reader"),
        "ledger": (paths.LEDGER_SETTINGS, "sql-ledger"),
        "follow": (paths.FOLLOW_SETTINGS, "sql-reader"),
        "resolver": (paths.RESOLVER_SETTINGS, "sql-reader"),
        "feed": (paths.FEED_SETTINGS, "sql-reader"),
        "migrations": (paths.MIGRATE_SETTINGS, ADMIN),
    }
    for service, (path, account) in processes.items():
        if document.runs(service):
            text = _settings(document, redis, sql, machine, account, follows=service == "follow")
            yield File(path, text)


def _settings(
    document: Document, redis: RedisPeers, sql: SqlPeers, machine: Machine, account: str, *, follows: bool
) -> str:
    """The settings of a process that has one SQL account, whichever of the servers it asks."""

    def endpoint(server: Endpoint, key: str) -> render.SqlEndpoint:
        if key not in sql.users:
            raise DocumentError(f"sql.users.{key}: is missing, and the machine needs this account")
        return render.SqlEndpoint(
            host=server.host,
            port=server.port,
            user=sql.users[key],
            password_file=paths.SECRETS / key,
            ca_file=paths.SQL_AUTHORITIES if server.host.endswith(RDS_SUFFIX) else None,
        )

    return render.Market(
        region=document.region,
        node=machine.instance_id,
        token_key_file=paths.SECRETS / "token-key",
        redis_master=redis_endpoint(redis, redis.master),
        redis_read=following_endpoint(redis) if follows else redis_endpoint(redis, redis.read),
        sql_master=endpoint(sql.master or sql.read, account),
        sql_read=endpoint(sql.read, "sql-reader"),
        allowed_origins=(f"https://{document.names.play}",),
        standbys=redis_machines(redis),
    ).render()


def _mariadb(sql: SqlPeers, machine: Machine) -> str:
    region, number = machine.address.split(".")[-2:]
    return render.Mariadb(
        bind=(HERE,),
        socket=paths.MARIADB_SOCKET,
        directory=paths.MARIADB_DATA,
        pid_file=paths.MARIADB_PID,
        server_id=int(region) * 256 + int(number),
        buffer_pool_mib=sizes.buffer_pool_mib(machine.memory_mib),
        log_file_mib=sizes.log_file_mib(machine.memory_mib),
        log_bin=True,
        log_flush=sql.log_flush or "commit",
        init_file=paths.MARIADB_ACCOUNTS,
    ).render()


def _accounts(sql: SqlPeers, secrets: SecretValues) -> str:
    """The SQL by which the machine's own server makes its accounts, each time that it starts."""
    lines = ["SET SESSION sql_log_bin = 0;", "CREATE DATABASE IF NOT EXISTS market;"]
    for key, user in _accounts_of(sql):
        password = render.word(key, secrets[key])
        lines += [
            f"CREATE OR REPLACE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}';",
            f"GRANT {RIGHTS[key]} ON market.* TO '{user}'@'127.0.0.1';",
        ]
    return "\n".join(lines) + "\n"


def _remote_accounts(document: Document, secrets: SecretValues) -> SqlAccounts | None:
    sql = document.sql
    if not document.runs("migrations") or document.runs("mariadb") or sql is None or sql.master is None:
        return None
    if ADMIN not in sql.users:
        raise DocumentError(f"sql.users.{ADMIN}: is missing, and the machine makes the others")
    accounts = tuple(SqlAccount(user, secrets[key], RIGHTS[key]) for key, user in _accounts_of(sql))
    admin = next(account for account in accounts if account.name == sql.users[ADMIN])
    return SqlAccounts(sql.master, admin, tuple(a for a in accounts if a is not admin))


def _accounts_of(sql: SqlPeers) -> Iterator[tuple[str, str]]:
    """The accounts that the image knows what for: the key of each one's secret, and its name."""
    return ((key, sql.users[key]) for key in RIGHTS if key in sql.users)


def _nginx(document: Document, machine: Machine) -> str:
    connections = sizes.worker_connections(machine.memory_mib, machine.cores)
    return render.Nginx(
        server_names=(document.names.play, document.names.regional),
        address="0.0.0.0",  # noqa: S104 - users come from everywhere; the ports are those of the security group
        upstreams=[paths.api_socket(number) for number in range(document.api_processes)],
        certificate=paths.CERTIFICATE,
        certificate_key=paths.CERTIFICATE,
        directory=paths.NGINX_DIRECTORY,
        draining=paths.DRAINING,
        handshakes_per_s=sizes.HANDSHAKES_PER_S,
        handshakes_burst=sizes.HANDSHAKES_BURST,
        worker_connections=connections,
        worker_rlimit_nofile=connections + _SPARE_DESCRIPTORS,
    ).render()


def _units(document: Document) -> Iterator[str]:
    for service in ORDER:
        if not document.runs(service):
            continue
        if service == "api":
            yield from map(api_unit, range(document.api_processes))
        else:
            yield UNIT_OF[service]
    if document.runs("nginx") or document.runs("certificate"):
        yield CERTIFICATE_UNIT
    if document.runs("prometheus") and document.scraping is not None:
        yield TARGETS_UNIT
    yield from COMPANIONS


def _notes(document: Document, secrets: SecretValues) -> Iterator[str]:
    for service in document.unknown_services:
        instead = INSTEAD.get(service, "the machine runs without it")
        yield f"this image has no {service}: {instead}"
    if document.runs("nginx") and secrets.certificate is None:
        yield "there is no certificate yet: nginx begins with one that nobody has signed"
