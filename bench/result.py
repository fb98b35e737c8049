"""The one result format: what a comparison writes, and what the table, the report and the meters read.

Latencies are milliseconds, rounded to the microsecond. What could not be measured is null, never zero.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct, field

SCHEMA: Final = 1

LATENCIES: Final = ("handshake", "read", "prediction", "broadcast")
"""The measured quantities, in the order in which they are shown."""

ASKED: Final = ("handshake", "read", "prediction")
"""Those of them that a user asks for: of each it is known how many were due and how many succeeded."""

SPREAD_TAIL: Final = 50
"""A 98th percentile of fewer broadcasts is their maximum by another name."""


class Summary(Struct, frozen=True):
    """A latency distribution in milliseconds; all but `count` are null when nothing was counted."""

    count: int
    min: float | None = None
    mean: float | None = None
    stddev: float | None = None
    p50: float | None = None
    p66: float | None = None
    p75: float | None = None
    p80: float | None = None
    p90: float | None = None
    p95: float | None = None
    p98: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


class Curve(Struct, frozen=True):
    """A cumulative distribution: `fraction[i]` of the values are at most `value_ms[i]`."""

    value_ms: list[float]
    fraction: list[float]


class Latency(Struct, frozen=True):
    """One quantity over all users, and by the users' region.

    `due` is how many fell due by the schedule, and `answered` how many of them succeeded; those that were
    not done by the end of the run are in the distributions with their age then, a lower bound. Both are null
    for broadcasts, which nobody asks for, and in results of versions that did not count them.
    """

    all: Summary
    by_region: dict[str, Summary]
    due: int | None = None
    answered: int | None = None


class Users(Struct, frozen=True):
    """How many users were asked for, connected, never connected, and were lost after connecting."""

    requested: int
    connected: int
    failed: int
    lost: int


class Broadcasts(Struct, frozen=True):
    """Deliveries over all users; `missed` counts the gaps in each user's offsets, `duplicate` the repeats.

    `early` are those that were received before they were published by the clocks of the two: they count with
    a latency of 0, and the others are as wrong as the clocks.
    """

    received: int
    missed: int
    duplicate: int
    early: int = 0


class Spread(Struct, frozen=True):
    """Over the broadcasts: last minus first reception of the same broadcast over all users (ms).

    `count` is how many broadcasts that is; null in results of versions that did not say. The 98th percentile
    is null when they are fewer than `SPREAD_TAIL`.
    """

    p50: float | None
    p98: float | None
    max: float | None
    count: int | None = None


class Ledger(Struct, frozen=True):
    """The proof of money after a run.

    `missing` are acknowledged predictions without a row, `duplicate` rows beyond the first of a prediction,
    `unanswered` predictions that were sent and never answered (their rows, `unanswered_rows`, are not an
    error), `unexplained` rows that no user sent. `stakes_sql` and `stakes_pools` are sums in minor units.
    """

    acknowledged: int
    rows: int
    missing: int
    duplicate: int
    balanced: bool
    unanswered: int = 0
    unanswered_rows: int = 0
    unexplained: int = 0
    stakes_sql: int = 0
    stakes_pools: int = 0


class Range(Struct, frozen=True):
    """A meter's minimum, average and maximum over the windows of a run."""

    min: float | None
    avg: float | None
    max: float | None


class Elasticity(Struct, frozen=True):
    """ESR: the range of the effective capacity, as a difference and as a ratio."""

    difference: float | None
    ratio: float | None


class Meters(Struct, frozen=True):
    """The scalability meters of one run."""

    crum: Range
    spm: Range
    slm: Range
    sec: Range
    ess: float | None
    esr: Elasticity


class Generator(Struct, frozen=True):
    """How well the load generator kept its schedule, and whether the machine was the bottleneck.

    `cpu_busy` is the mean share of the machine's CPU time that was in use while the load ran (0 to 1);
    `reasons` says in words why it counts as saturated.
    """

    lag_p98_ms: float | None
    saturated: bool
    cpu_busy: float | None = None
    reasons: list[str] = field(default_factory=list)


class RoleUsage(Struct, frozen=True):
    """What the machines of one role used on average, against the capacity of those they stand for.

    CPU in cores, memory and disk in MiB, network in MiB per minute.
    """

    machines: int
    cpu_cores: float
    cpu_capacity_cores: float
    memory_mib: float
    memory_capacity_mib: float
    disk_mib: float
    disk_capacity_mib: float
    network_in_mib_min: float
    network_out_mib_min: float


class RegionFacts(Struct, frozen=True):
    """Where a region's users are sent and read, and what the WAN alone costs them (ms)."""

    resolves_to: str
    reads_from: str
    rtt_to_node_ms: float
    rtt_to_home_ms: float


class ArchitectureResult(Struct, frozen=True):
    """All that one run of one architecture measured.

    `run` says what was run where the runs of a comparison were started one by one, as on AWS; null where the
    comparison's own `run` is that of all.
    """

    users: Users
    latency_ms: dict[str, Latency]
    broadcasts: Broadcasts
    broadcast_spread_ms: Spread
    errors: dict[str, int]
    ledger: Ledger
    meters: Meters
    cost_per_hour: float
    generator: Generator
    title: str = ""
    data_path: str = "async"
    cost_notes: list[str] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    roles: dict[str, RoleUsage] = field(default_factory=dict)
    regions: dict[str, RegionFacts] = field(default_factory=dict)
    meter_inputs: dict[str, object] = field(default_factory=dict)
    run: Run | None = None


class Run(Struct, frozen=True):
    """What was run: the load, the delays between regions, when, on what machine and in which world.

    `matrix` is the name of the round trips that the lab emulates, or `AWS` where they are AWS's own. `seed`
    fixes what users do, `prices` is the date of those that the cost is of; null and empty where they were
    not kept.
    """

    users: int
    ramp_s: float
    duration_s: float
    matrix: str
    data_path: str
    home: str
    started_at: str
    machine: str
    version: str
    command: str
    world: Literal["lab", "aws"] = "lab"
    seed: int | None = None
    prices: str = ""


class Result(Struct, frozen=True):
    """A comparison.

    `architectures` holds the runs of the requested data path; with both, `blocking` holds the control's.
    `missing` names the runs that were asked for and are not there (yet): the comparison goes on, or it was
    interrupted or failed. Where runs were started one by one, `run` is the first one's.
    """

    schema: int
    architectures: dict[str, ArchitectureResult]
    run: Run | None = None
    blocking: dict[str, ArchitectureResult] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def encode(result: Result) -> bytes:
    """The result as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2)


def decode(text: bytes) -> Result:
    """The result in a file; raises `msgspec.DecodeError` when it is not one."""
    return msgspec.json.decode(text, type=Result)
