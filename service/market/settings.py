"""What a process of the service is told: one TOML file, whose secrets are in files of their own.

The image and the lab write this file; `load` reports what is wrong with it and what to do.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from market.connection_settings import Compression, Limits
from market.limits import MAX_TAKEOUT
from market.protocol import SUBPROTOCOLS, Subprotocol

Port = Annotated[int, Meta(ge=1, le=65535)]


class MarketError(Exception):
    """The root of the errors that the service raises."""


class SettingsError(MarketError):
    """The settings cannot be read or are wrong; the message says which and what to do."""


Address = Annotated[str, Meta(pattern=r"^[^:\s]+:[0-9]{1,5}\Z")]
"""HOST:PORT."""


class RedisEndpoint(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A Redis server; `user` and the password file are those of its access control list.

    With `sentinels` it is the master that they name for `service`, whichever machine that is, and `host` and
    `port` are not used. The same user and password hold at the Sentinels.
    """

    host: str
    port: Port
    password_file: str
    user: str = "default"
    sentinels: tuple[Address, ...] = ()
    service: str = "market"

    @property
    def title(self) -> str:
        """What it is called in messages."""
        if self.sentinels:
            return f"redis {self.service} of the sentinels {', '.join(self.sentinels)}"
        return f"redis {self.host}:{self.port}"


class SqlEndpoint(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A MariaDB or MySQL server, and the account that the process uses there.

    With a `ca_file` the process speaks TLS only, to a server of that name whose certificate an authority in
    the file has signed.
    """

    host: str
    port: Port
    user: str
    password_file: str
    database: str = "market"
    ca_file: str | None = None


class ResolverSettings(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a resolver is told.

    `templates` is the file of the questions that come with events, None for those of the service itself;
    `takeout` is what the house keeps of the stakes in their pools (permille), if a template does not say.
    An event waits `reorder_window_ms` for one that is missing before it. What no event announced is found
    within `poll_ms`.
    """

    templates: str | None = None
    takeout: Annotated[int, Meta(ge=0, le=MAX_TAKEOUT)] = 0
    reorder_window_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2000
    poll_ms: Annotated[int, Meta(ge=10, le=1000)] = 250


class FeedSettings(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a feed's process is told: a list of events may be longer than what users send."""

    max_message_bytes: Annotated[int, Meta(ge=4096, le=1 << 20)] = 262_144


class TracingSettings(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Where traces go by OTLP over HTTP, and of which share of the requests; by default nowhere."""

    endpoint: Annotated[str, Meta(pattern=r"^https?://[^\s]+\Z", max_length=2048)] | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Settings(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """All that a process needs to know.

    `redis_read` is the nearest Redis (a replica or the master itself), `redis_master` takes the writes;
    `sql_read` and `sql_master` likewise. `data_path` `blocking` is the control of the benchmark: every
    database call holds up the whole process, as the thesis's did. A browser is served when its page's
    origin (`https://play.example.org`) is one of `allowed_origins`, every browser when there is none; other
    programs send no origin. `drain_spread_ms` is over how long clients come back that are sent away. The
    journal takes at most `journal_max_entries` (reckon with 512 bytes each). With `audit` `writes` the audit
    log leaves out those requests that changed nothing and did not fail. `protocols` are the subprotocols that
    clients are offered: with one of them a server is as one of that version. A deposit takes a token with the
    scope `bank`; with `deposits` `self`, for play money, every user may add to the own account.

    `acknowledge` says who has to have a write before it is answered: the master alone, or the standbys too,
    that is every one that may be promoted and at least one. `standbys` are all Redis machines at home,
    whichever of them is the master at present, as the Sentinels name them; replicas elsewhere never count.
    """

    region: str
    node: str
    token_key_file: str
    redis_master: RedisEndpoint
    redis_read: RedisEndpoint
    sql_master: SqlEndpoint
    sql_read: SqlEndpoint
    data_path: Literal["async", "blocking"] = "async"
    protocols: Annotated[tuple[Subprotocol, ...], Meta(min_length=1)] = SUBPROTOCOLS
    acknowledge: Literal["master", "standby"] = "master"
    standbys: tuple[Address, ...] = ()
    flush_interval_ms: Annotated[int, Meta(ge=100, le=60_000)] = 3000
    max_message_bytes: Annotated[int, Meta(ge=256, le=1 << 20)] = 4096
    max_send_queue_bytes: Annotated[int, Meta(ge=4096, le=1 << 26)] = 262_144
    max_requests_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 64
    authenticate_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    ledger_batch_rows: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    token_audience: Annotated[str, Meta(min_length=1, max_length=256)] = "market"  # noqa: S105
    token_leeway_s: Annotated[float, Meta(ge=0, le=300)] = 5.0
    allowed_origins: list[str] = []
    drain_spread_ms: Annotated[int, Meta(ge=0, le=600_000)] = 10_000
    limits: Limits = Limits()
    compression: Compression = Compression()
    resolver: ResolverSettings = ResolverSettings()
    feed: FeedSettings = FeedSettings()
    tracing: TracingSettings = TracingSettings()
    journal_max_entries: Annotated[int, Meta(ge=10, le=100_000_000)] = 1_000_000
    audit: Literal["all", "writes"] = "all"
    deposits: Literal["bank", "self"] = "bank"

    def __post_init__(self) -> None:
        if self.acknowledge == "standby" and not (self.standbys and self.redis_master.sentinels):
            raise ValueError(
                "acknowledge = standby needs `standbys`, and `sentinels` of redis-master: add them"
            )
        if self.acknowledge == "standby" and self.data_path == "blocking":
            raise ValueError("the blocking data path waits for no standby: set acknowledge = master")


def load(path: Path) -> Settings:
    """The settings in the TOML file at `path`.

    Raises:
        SettingsError: when the file cannot be read, is not TOML, or a key is wrong, missing or unknown.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings {path} are not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"the settings {path} are wrong: {error}") from error


def read_secret(path: str) -> str:
    """The secret in a file, without the white space around it.

    Raises:
        SettingsError: when the file cannot be read or is empty.
    """
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret {path}: {error.strerror}") from error
    if not secret:
        raise SettingsError(f"the secret {path} is empty")
    return secret
