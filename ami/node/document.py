"""What the machine is told at boot: the document in its user data, decoded and checked.

Its keys are those of the classes here in kebab case. Keys that are not known here are left out: a document
that this image would misread has another `schema`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from ami.errors import AmiError

SCHEMA: Final = 1
"""The schema that this image understands."""

KNOWN_SERVICES: Final = frozenset(
    (
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
    )
)
"""The services that this image can run; others in a document are logged and left out."""

Role = Literal["node", "core", "redis", "monitoring", "load"]


class DocumentError(AmiError):
    """The user data is not a document that this image can follow; the message has every mistake."""


class Endpoint(Struct, frozen=True, rename="kebab"):
    """Where a server answers."""

    host: str
    port: int


class Names(Struct, frozen=True, rename="kebab"):
    """The domain, the name that users connect to, and the one of the machine's region."""

    domain: str
    play: str
    regional: str


class RedisPeers(Struct, frozen=True, rename="kebab"):
    """The Redis servers that the machine uses; `runs` is what its own starts as, if it has one."""

    runs: Literal["master", "replica"] | None
    master: Endpoint
    read: Endpoint
    sentinels: tuple[Endpoint, ...]
    append_sync: Literal["everysec", "always"]


class SqlPeers(Struct, frozen=True, rename="kebab"):
    """The SQL servers that the machine uses; without `master`, `read` is all. `users` by the secret's key.

    `log_flush` is of the machine's own server, None where it has none.
    """

    master: Endpoint | None
    read: Endpoint
    users: dict[str, str]
    log_flush: Literal["everysec", "commit"] | None


class Secrets(Struct, frozen=True, rename="kebab"):
    """The names of the secrets that the machine reads, and of those it puts a new value into, by key."""

    read: dict[str, str]
    write: dict[str, str]


class Certificate(Struct, frozen=True, rename="kebab"):
    """The names of the certificate that the machine renews, and the TXT record that proves they are ours."""

    names: tuple[str, ...]
    challenge: str
    zone_id: str


class Group(Struct, frozen=True, rename="kebab"):
    """The auto scaling group of the machine, and the hooks that it completes.

    `drain_hook` when it has drained; `launch_hook`, if its group has one, when it can serve the first time.
    A document of before there was that hook does not name it.
    """

    name: str
    drain_hook: str
    launch_hook: str | None = None


class AddressPool(Struct, frozen=True, rename="kebab"):
    """The tag of the public addresses of which a node takes a free one."""

    tag: str
    value: str


class Reporting(Struct, frozen=True, rename="kebab"):
    """Where figures and logs of the machine go."""

    namespace: str
    dimension: str
    dimension_value: str
    metrics_port: int
    log_group: str


class Finding(Struct, frozen=True, rename="kebab"):
    """How machines are found: in which regions, and a tag and its value that they have."""

    regions: tuple[str, ...]
    tag: str
    value: str


class Scraping(Struct, frozen=True, rename="kebab"):
    """Where Prometheus learns what to scrape: from a machine of the role `listed_by`, by HTTP."""

    listed_by: str
    port: int
    path: str
    finding: Finding


class Document(Struct, frozen=True, kw_only=True, rename="kebab"):
    """All that the machine is told; a part that is None does not concern it."""

    schema: int
    stack: str
    role: Role
    region: str
    home: str
    services: tuple[str, ...]
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

    @property
    def unknown_services(self) -> tuple[str, ...]:
        """The services that this image does not have."""
        return tuple(service for service in self.services if service not in KNOWN_SERVICES)

    def runs(self, service: str) -> bool:
        """Whether the machine is to run a service, and the image can."""
        return service in self.services and service in KNOWN_SERVICES


def decode(text: str | bytes) -> Document:
    """The document in a machine's user data.

    Raises:
        DocumentError: when it is none, has another schema, or has mistakes; the message has all of them.
    """
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(
            f"the user data is not JSON ({error}); start the machine from its stack"
        ) from None
    if not isinstance(raw, dict):
        raise DocumentError("the user data is no JSON object; start the machine from its stack")
    if raw.get("schema") != SCHEMA:
        raise DocumentError(
            f"the user data has schema {raw.get('schema')!r} and this image reads {SCHEMA}:"
            " use the image of the stack's version"
        )
    if mistakes := [*_mistakes(raw, Document, ""), *_contradictions(raw)]:
        raise DocumentError("the user data is wrong: " + "; ".join(mistakes))
    return msgspec.convert(raw, Document)


def _mistakes(raw: Any, kind: Any, path: str) -> Iterator[str]:
    """Everything that is wrong with a value, each with its key; msgspec itself stops at the first."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    struct = next((o for o in options if isinstance(o, type) and issubclass(o, Struct)), None)
    if struct is None or not isinstance(raw, dict):
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            yield f"{path}: {str(error)[:1].lower()}{str(error)[1:]}"
        return
    hints = get_type_hints(struct)
    for field in fields(struct):
        key = f"{path}.{field.encode_name}" if path else field.encode_name
        if field.encode_name not in raw:
            if field.required:
                yield f"{key}: is missing"
        else:
            yield from _mistakes(raw[field.encode_name], hints[field.name], key)


def _contradictions(raw: dict[str, Any]) -> Iterator[str]:
    """What the types cannot say: a service without the part of the document that it needs."""
    services = raw.get("services")
    if not isinstance(services, list):
        return
    needs = {
        "redis": ("redis",),
        "sentinel": ("redis",),
        "follow": ("redis", "sql"),
        "mariadb": ("sql",),
        "migrations": ("sql",),
        "ledger": ("sql", "redis"),
        "resolver": ("sql", "redis"),
        "feed": ("sql", "redis"),
        "api": ("sql", "redis"),
    }
    for service, parts in needs.items():
        if service in services:
            yield from (f"{part}: is null though {service} needs it" for part in parts if _is_null(raw, part))
    processes = raw.get("api-processes")
    if "api" in services and isinstance(processes, int) and processes < 1:
        yield f"api-processes: is {processes}; a node has at least 1"
    redis = raw.get("redis")
    if "redis" in services and isinstance(redis, dict) and "runs" in redis and redis["runs"] is None:
        yield "redis.runs: is null though the machine runs redis"
    sql = raw.get("sql")
    if "mariadb" in services and isinstance(sql, dict) and "log-flush" in sql and sql["log-flush"] is None:
        yield "sql.log-flush: is null though the machine runs mariadb"


def _is_null(raw: dict[str, Any], part: str) -> bool:
    """Whether a part of the document is there and null."""
    return part in raw and raw[part] is None
