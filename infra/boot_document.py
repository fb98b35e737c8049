"""The document in a machine's user data, which the image reads when it boots: its schema and its text.

There are no secrets in it, only their names in Secrets Manager. Its keys are those of the classes here, in
kebab case. A change that an older image would misread raises `SCHEMA`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal

from infra.flows import Role
from infra.secret_names import SecretKey

SCHEMA: Final = 1

Service = Literal[
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
    "certificate",
    "prometheus",
    "grafana",
]
"""What a machine runs, beside what every machine runs: its reporter, its clock, its agents."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers."""

    host: str
    port: int


@dataclass(frozen=True)
class Names:
    """The domain, the name that users connect to, and the one of the machine's region."""

    domain: str
    play: str
    regional: str


@dataclass(frozen=True)
class RedisPeers:
    """The Redis servers that a machine uses, and what it runs itself.

    `runs` says whether the machine's own Redis starts as master or replica, if it has one; `read` is the
    nearest one. With `sentinels` the master is the one that they name, `master` the one to begin with.
    `append_sync` is when a file is brought to the disk.
    """

    runs: Literal["master", "replica"] | None
    master: Endpoint
    read: Endpoint
    sentinels: tuple[Endpoint, ...]
    append_sync: Literal["everysec", "always"]


@dataclass(frozen=True)
class SqlPeers:
    """The SQL servers that a machine uses: `read` for what it can, `master` for what only that has.

    `users` are the accounts there, by the key of the secret that holds their password. `log_flush` is when
    the log of the machine's own server is brought to the disk; None where it has none.
    """

    master: Endpoint | None
    read: Endpoint
    users: Mapping[SecretKey, str]
    log_flush: Literal["everysec", "commit"] | None = None


@dataclass(frozen=True)
class Secrets:
    """The names of the secrets that the machine reads, and of those it puts a new value into, by key."""

    read: Mapping[SecretKey, str]
    write: Mapping[SecretKey, str]


@dataclass(frozen=True)
class Certificate:
    """How the machine comes by the certificate that it has to renew, and for which names.

    The certificate authority is answered by a TXT record `challenge` in the zone.
    """

    names: tuple[str, ...]
    challenge: str
    zone_id: str


@dataclass(frozen=True)
class Group:
    """The auto scaling group of the machine, and the hooks that it completes.

    `drain_hook` when it has drained; `launch_hook`, if its group has one, when it can serve the first time.
    """

    name: str
    drain_hook: str
    launch_hook: str | None


@dataclass(frozen=True)
class AddressPool:
    """The tag of the public addresses of which a node takes a free one."""

    tag: str
    value: str


@dataclass(frozen=True)
class Reporting:
    """Where figures and logs of the machine go.

    Figures are sent under one dimension of the namespace, and answered to Prometheus on the private side.
    """

    namespace: str
    dimension: str
    dimension_value: str
    metrics_port: int
    log_group: str


@dataclass(frozen=True)
class Finding:
    """How machines are found: in which regions, and a tag and its value that they have."""

    regions: tuple[str, ...]
    tag: str
    value: str


@dataclass(frozen=True)
class Scraping:
    """Where Prometheus learns what to scrape: from a machine of the role `listed_by`, by HTTP at that path.

    The monitoring machine has no way to the other regions' EC2, so that it finds that machine, in its own
    region, and is told of all others by it.
    """

    listed_by: Role
    port: int
    path: str
    finding: Finding


@dataclass(frozen=True, kw_only=True)
class BootSettings:
    """All that a machine is told; a part that is None does not concern it."""

    schema: int
    stack: str
    role: Role
    region: str
    home: str
    services: tuple[Service, ...]
    api_processes: int
    names: Names
    redis: RedisPeers | None
    sql: SqlPeers | None
    secrets: Secrets
    certificate: Certificate | None
    group: Group | None
    address_pool: AddressPool | None
    data_device: str | None
    reporting: Reporting
    listing: Finding | None
    scraping: Scraping | None


def to_json(settings: BootSettings) -> str:
    """The document as text: keys in kebab case, in the order of the classes."""
    return json.dumps(_plain(settings), separators=(",", ":"))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name.replace("_", "-"): _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
