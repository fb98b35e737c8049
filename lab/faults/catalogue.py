"""The faults of the suite: adding one is a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from infra.architecture import Architecture
from lab.errors import UnknownNameError
from lab.faults.actions import (
    CutOff,
    Fault,
    FillDisk,
    Impair,
    Kill,
    LoseMaster,
    Misbehave,
    Part,
    SkewClock,
    Stop,
)
from lab.faults.places import applies
from lab.topology import Topology

Suite = Literal["short", "all", "ha"]

FAULTS: Final = (
    Fault("api-killed", "an API process of Sydney is killed", Kill("api-0", "far node"), short=True),
    Fault("ledger-killed", "the ledger is killed", Kill("ledger", "home machine"), short=True),
    Fault("resolver-killed", "the resolver is killed", Kill("resolver", "home machine"), short=True),
    Fault("feed-killed", "the feed is killed", Kill("feed", "home machine")),
    Fault("redis-master-killed", "the Redis master is killed", Kill("redis", "redis master"), short=True),
    Fault("redis-replica-killed", "Sydney's Redis is killed", Kill("redis", "redis replica"), short=True),
    Fault("sql-master-killed", "the MariaDB master is killed", Kill("mariadb", "sql master"), short=True),
    Fault("sql-replica-killed", "a MariaDB replica is killed", Kill("mariadb", "sql replica"), short=True),
    Fault("nginx-killed", "Sydney's nginx is killed", Kill("nginx", "far node"), short=True),
    Fault("redis-master-down", "the Redis master is killed and stays down", Kill("redis", "redis master"), 8),
    Fault("sql-master-down", "the MariaDB master is killed and stays down", Kill("mariadb", "sql master"), 8),
    Fault("core-down", "the machine of the ledger fails", Kill("*", "home machine"), 8),
    Fault("node-down", "Sydney's node fails", Kill("*", "far node"), 8, short=True),
    Fault("api-stopped", "an API process of Sydney stands still", Stop("api-0", "far node"), 8, short=True),
    Fault("ledger-stopped", "the ledger stands still", Stop("ledger", "home machine"), 8),
    Fault(
        "redis-master-stopped", "the Redis master stands still", Stop("redis", "redis master"), 8, short=True
    ),
    Fault("redis-replica-stopped", "Sydney's Redis stands still", Stop("redis", "redis replica"), 8),
    Fault("sql-master-stopped", "the MariaDB master stands still", Stop("mariadb", "sql master"), 8),
    Fault("nginx-stopped", "Sydney's nginx stands still", Stop("nginx", "far node"), 8),
    Fault("region-cut-off", "Sydney is cut off", CutOff("far node"), 8, short=True),
    Fault("region-cut-off-for-long", "Sydney is cut off", CutOff("far node"), 30),
    Fault("home-cut-off", "the home region is cut off", CutOff("home node"), 8),
    Fault("packets-lost", "5 % of the packets are lost", Impair(loss=0.05), 8, short=True),
    Fault("packets-late", "packets take 0.4 to 0.8 s longer", Impair(delay_ms=400, jitter_ms=400), 10),
    Fault("journal-disk-full", "the journal's disk is full", FillDisk(), 5, short=True),
    Fault(
        "redis-clock-ahead",
        "the Redis master's clock is 1 h ahead",
        SkewClock("redis", "redis master", 3600),
        8,
        short=True,
    ),
    Fault(
        "redis-clock-behind",
        "the Redis master's clock is 1 h behind",
        SkewClock("redis", "redis master", -3600),
        8,
    ),
    Fault(
        "api-clock-ahead",
        "the clock of an API process of Sydney is 1 h ahead",
        SkewClock("api-0", "far node", 3600),
        8,
    ),
    Fault(
        "ledger-clock-ahead", "the ledger's clock is 1 h ahead", SkewClock("ledger", "home machine", 3600), 8
    ),
    Fault("slow-readers", "8 clients ask and read nothing", Misbehave("slow readers", 8), 12, short=True),
    Fault("half-open-clients", "100 clients stop half way", Misbehave("half-open", 100), 8, short=True),
    Fault("garbage-clients", "clients send what is no protocol", Misbehave("garbage", 20), 5, short=True),
)
"""The faults of an architecture as its stack file has it, in the order in which they are run."""

STANDBY_FAULTS: Final = (
    Fault(
        "redis-master-failed-over",
        "the Redis master's machine fails, and a standby takes over",
        LoseMaster(),
        60,
        recover_within_s=60,
        meanwhile=True,
    ),
    Fault(
        "redis-master-parted",
        "the Redis master is cut off from its standbys",
        Part(),
        60,
        recover_within_s=60,
        meanwhile=True,
    ),
)
"""The faults of the suite `ha`: they need standbys of Redis; an architecture without gets two for them."""


def needs_standbys(name: Suite, names: Sequence[str]) -> bool:
    """Whether a suite, or a fault of these names where there are some, is put on Redis with standbys."""
    return bool({fault.name for fault in STANDBY_FAULTS} & set(names)) if names else name == "ha"


def with_standbys(architecture: Architecture) -> Architecture:
    """The architecture with two standbys of Redis, unless it has some."""
    redis = architecture.redis
    return replace(architecture, redis=replace(redis, standbys=redis.standbys or 2))


def suite(name: Suite, topology: Topology) -> tuple[Fault, ...]:
    """The faults of a suite that can be put on an architecture.

    Raises:
        UnknownNameError: when none can.
    """
    listed = STANDBY_FAULTS if name == "ha" else FAULTS
    found = tuple(fault for fault in listed if (fault.short or name != "short") and applies(fault, topology))
    if not found:
        raise UnknownNameError(
            f"the architecture has nothing for the suite {name} to strike; choose a stack such as geo-ii"
        )
    return found


def named(names: Sequence[str], topology: Topology) -> tuple[Fault, ...]:
    """The faults of these names, in their order.

    Raises:
        UnknownNameError: when there is no such fault, or the architecture has nothing that it could strike.
    """
    known = {fault.name: fault for fault in (*FAULTS, *STANDBY_FAULTS)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownNameError(f"there is no fault {', '.join(unknown)}; `isochrone faults list` shows them")
    strange = [name for name in names if not applies(known[name], topology)]
    if strange:
        raise UnknownNameError(
            f"the architecture has nothing for {', '.join(strange)} to strike; choose a stack such as geo-ii"
        )
    return tuple(known[name] for name in names)
