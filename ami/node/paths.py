"""Where things are on the machine; the units of the image name the same paths."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RUNTIME: Final = Path("/run/isochrone")
"""What lasts until the next boot, in memory: what the machine was told, and files that hold a secret."""

DOCUMENT: Final = RUNTIME / "document.json"
DRAINING: Final = RUNTIME / "draining"
"""While it exists the machine leaves DNS health."""

SECRETS: Final = Path("/etc/isochrone/secrets")
"""A file system in memory, with a file for each secret by its key."""

CONFIGURATION: Final = Path("/etc/isochrone")
API_SETTINGS: Final = CONFIGURATION / "settings.toml"
LEDGER_SETTINGS: Final = CONFIGURATION / "ledger.toml"
FOLLOW_SETTINGS: Final = CONFIGURATION / "follow.toml"
RESOLVER_SETTINGS: Final = CONFIGURATION / "resolver.toml"
FEED_SETTINGS: Final = CONFIGURATION / "feed.toml"
MIGRATE_SETTINGS: Final = CONFIGURATION / "migrate.toml"
NGINX: Final = CONFIGURATION / "nginx.conf"
MARIADB: Final = CONFIGURATION / "mariadb.cnf"
PROMETHEUS: Final = CONFIGURATION / "prometheus.yml"
TARGETS: Final = RUNTIME / "targets.json"
"""What Prometheus scrapes, as the machine that lists them last said."""

REDIS: Final = Path("/run/redis/redis.conf")
SENTINEL: Final = Path("/run/redis/sentinel.conf")
"""Sentinel rewrites both, in a directory of Redis's own: its state, and who follows whom."""
MARIADB_ACCOUNTS: Final = RUNTIME / "mariadb-accounts.sql"

TLS: Final = RUNTIME / "tls"
CERTIFICATE: Final = TLS / "certificate.pem"
"""Chain and key in one file, so that they change in one step."""

API_SOCKETS: Final = Path("/run/market")
NGINX_DIRECTORY: Final = Path("/run/nginx")
REDIS_SOCKET: Final = Path("/run/redis/redis.sock")
MARIADB_SOCKET: Final = Path("/run/mysqld/mysqld.sock")
MARIADB_PID: Final = Path("/run/mysqld/mysqld.pid")

REPORTER_STATE: Final = Path("/var/lib/isochrone-reporter")
"""Where the reporter keeps up to where CloudWatch has the journal; the unit's StateDirectory."""

DATA: Final = Path("/var/lib/isochrone")
REDIS_DATA: Final = DATA / "redis"
REDIS_MASTER: Final = REDIS_DATA / "master"
"""Where the master was when the machine last learned of a new one: HOST PORT, kept by `RECORD_MASTER`."""

RECORD_MASTER: Final = Path("/usr/local/lib/isochrone/record-master")
MARIADB_DATA: Final = DATA / "mariadb"
PROMETHEUS_DATA: Final = DATA / "prometheus"

SQL_AUTHORITIES: Final = Path("/etc/ssl/certs/rds-global-bundle.pem")


def api_socket(number: int) -> Path:
    """The unix socket of an API process, counted from 0."""
    return API_SOCKETS / f"api-{number}.sock"
