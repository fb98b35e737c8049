"""The configuration files of a machine, from what the machine is.

The image and the lab render the same templates; sizes, addresses and paths are arguments, secrets too: a
rendered file that holds one has to be written with mode 0600.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from ami.errors import UnsafeValueError

_WORD: Final = re.compile(r"[A-Za-z0-9_./:*+=@%-]*\Z")


@dataclass(frozen=True, kw_only=True)
class Nginx:
    """The web server of a node.

    `upstreams` are the unix sockets of the API processes; `directory` holds the pid and temporary files.
    While a file `draining` exists, /healthz answers 503, so that no new users are sent here.
    An address may open `handshakes_per_s` connections in the long run and `handshakes_burst` at once; None is
    no limit. Each user of a worker takes two of its `worker_connections` and two descriptors.
    """

    server_names: Sequence[str]
    address: str
    upstreams: Sequence[Path]
    certificate: Path
    certificate_key: Path
    directory: Path
    draining: Path | None = None
    handshakes_per_s: int | None = None
    handshakes_burst: int = 500
    error_log: Path | Literal["stderr"] = "stderr"
    user: str = "www-data"
    worker_processes: int | Literal["auto"] = "auto"
    worker_connections: int
    worker_rlimit_nofile: int | None = None
    http_port: int = 80
    https_port: int = 443
    backlog: int = 16384
    session_cache_mib: int = 16

    def render(self) -> str:
        """The text of nginx.conf.

        Raises:
            UnsafeValueError: when a value has characters that nginx would read as something else.
        """
        return _render("nginx.conf.j2", self)


@dataclass(frozen=True, kw_only=True)
class RedisAccounts:
    """The passwords of a Redis server's accounts, where each process has one of its own.

    `app` reads and writes what is the market's. `replica` follows a server at home; a server elsewhere
    (`sentinel` is None) has in its place an account that chooses which one to follow. `sentinel` promotes
    and demotes, and is at home only: no Sentinel can command a replica elsewhere.
    """

    app: str = field(repr=False)
    replica: str = field(repr=False)
    sentinel: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Redis:
    """A Redis server; `replica_of` is the address of its master, None on the master.

    `announce` is the address under which the others know it; `directory` holds its append-only file. With
    one `password` its holders may do everything. A `standby` is a replica that may be promoted, so that it
    keeps a file too.
    """

    bind: Sequence[str]
    announce: str
    socket: Path
    directory: Path
    password: str | RedisAccounts = field(repr=False)
    max_memory_mib: int
    replica_of: str | None = None
    replica_of_port: int = 6379
    standby: bool = False
    append_sync: Literal["everysec", "always"] = "everysec"
    port: int = 6379
    pid_file: Path | None = None
    backlog: int = 16384
    backlog_mib: int = 64
    max_clients: int = 10_000
    sync_delay_s: int = 5
    replica_timeout_s: int = 60

    def render(self) -> str:
        """The text of redis.conf, which holds the password.

        Raises:
            UnsafeValueError: when a value has characters that Redis would read as something else.
        """
        return _render("redis.conf.j2", self)


@dataclass(frozen=True, kw_only=True)
class Sentinel:
    """A Sentinel, which promotes a standby when most of them miss the master.

    It writes its state into its own file, whose directory has to be writable for it. `master` is where the
    master is when it starts; `down_after_ms` is how long a master may be silent; a failover that came to
    nothing, for one by a split vote, is tried again after twice `failover_timeout_ms`; `record` is a program
    that gets to know each new master.
    """

    bind: Sequence[str]
    announce: str
    directory: Path
    accounts: RedisAccounts = field(repr=False)
    master: str
    master_port: int = 6379
    service: str = "market"
    quorum: int = 2
    down_after_ms: int = 3000
    failover_timeout_ms: int = 10_000
    port: int = 26379
    record: Path | None = None

    def render(self) -> str:
        """The text of sentinel.conf, which holds the passwords.

        Raises:
            UnsafeValueError: when a value has characters that Sentinel would read as something else.
        """
        return _render("sentinel.conf.j2", self)


@dataclass(frozen=True, kw_only=True)
class Mariadb:
    """A MariaDB server; a `replica` is read-only, one with `log_bin` can be replicated from.

    `log_flush` is when its logs are brought to the disk: at each commit, or every second (decision 22).

    `init_file` is SQL that the server runs each time before it accepts connections. A replica with one
    waits for it to start the replication.

    Servers that see the same `/tmp` each need a `temporary` directory of their own: one that starts removes
    the temporary tables that it finds in its.
    """

    bind: Sequence[str]
    socket: Path
    directory: Path
    pid_file: Path
    server_id: int
    buffer_pool_mib: int
    log_file_mib: int
    log_bin: bool
    log_flush: Literal["everysec", "commit"] = "everysec"
    replica: bool = False
    init_file: Path | None = None
    plugin_directory: Path | None = None
    temporary: Path | None = None
    user: str = "mysql"
    port: int = 3306
    max_connections: int = 500
    io_capacity: int | None = None
    max_binlog_mib: int = 256
    binlog_expire_s: int = 604_800

    def render(self) -> str:
        """The text of mariadb.cnf.

        Raises:
            UnsafeValueError: when a value has characters that MariaDB would read as something else.
        """
        return _render("mariadb.cnf.j2", self)


@dataclass(frozen=True, kw_only=True)
class RedisEndpoint:
    """How a process of the service reaches a Redis server; with `sentinels` (HOST:PORT) the one they name."""

    host: str
    password_file: Path
    port: int = 6379
    user: str = "default"
    sentinels: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class SqlEndpoint:
    """How a process of the service reaches a SQL server, and its account there.

    With a `ca_file` it speaks TLS only, to a server that has a certificate of one of the authorities in it.
    """

    host: str
    user: str
    password_file: Path
    port: int = 3306
    database: str = "market"
    ca_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Market:
    """The settings of one process of the service; pages of no other origin than the allowed ones are served.

    Without an allowed origin every page is. With `standbys` (HOST:PORT, all Redis machines at home) a write
    is acknowledged when they have it. With `deposits` `self`, for play money, every user may make some.
    """

    region: str
    node: str
    token_key_file: Path
    redis_master: RedisEndpoint
    redis_read: RedisEndpoint
    sql_master: SqlEndpoint
    sql_read: SqlEndpoint
    data_path: Literal["async", "blocking"] = "async"
    deposits: Literal["bank", "self"] = "bank"
    allowed_origins: Sequence[str] = ()
    standbys: Sequence[str] = ()

    def render(self) -> str:
        """The text of the settings (TOML)."""
        return (
            _environment()
            .get_template("market.toml.j2")
            .render(
                region=self.region,
                node=self.node,
                token_key_file=self.token_key_file,
                data_path=self.data_path,
                deposits=self.deposits,
                allowed_origins=self.allowed_origins,
                standbys=self.standbys,
                redis={"redis-master": self.redis_master, "redis-read": self.redis_read},
                sql={"sql-master": self.sql_master, "sql-read": self.sql_read},
            )
        )


def _render(template: str, config: Nginx | Redis | Sentinel | Mariadb) -> str:
    values = {f.name: _checked(f.name, getattr(config, f.name)) for f in fields(config)}
    return _environment().get_template(template).render(values)


def word(name: str, value: str) -> str:
    """The value itself, when it means nothing else in a configuration file or between SQL's quotes.

    Raises:
        UnsafeValueError: when it could; the message has its name only.
    """
    if not _WORD.match(value):
        raise UnsafeValueError(f"{name} has a character that a configuration file cannot hold")
    return value


def _checked(name: str, value: Any) -> Any:
    if isinstance(value, str | Path):
        word(name, str(value))
    elif isinstance(value, RedisAccounts):
        for account in fields(value):
            _checked(account.name, getattr(value, account.name))
    elif isinstance(value, Sequence):
        for part in value:
            _checked(name, part)
    return value


def _toml(value: object) -> str:
    """A TOML basic string: JSON's escapes are all TOML's, and so is a raw non-ASCII character."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ami", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; values are checked above
    )
    environment.filters["toml"] = _toml
    return environment
