"""What is watched on every machine of an architecture, and above which value the stack's topic is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from infra import metric_names as metrics
from infra.architecture import Architecture
from infra.flows import Place, places
from infra.hardware import ordered_cores
from infra.metric_names import GROUP_DIMENSION, MACHINE_DIMENSION, CustomMetric
from infra.secret_names import steward
from infra.site import Site

INSTANCE_DIMENSION: Final = "InstanceId"
SQL_DIMENSION: Final = "DBInstanceIdentifier"

SQL_MAX_CONNECTIONS: Final = 500
"""What a SQL server's parameter group allows; source: the thesis's chapter 4."""

_FIVE_MINUTES_S: Final = 300
_MINUTE_S: Final = 60
_GIB: Final = 1024**3

Statistic = Literal["Average", "Maximum", "Minimum", "Sum", "p98"]
Comparison = Literal["GreaterThanThreshold", "LessThanThreshold"]
Missing = Literal["missing", "notBreaching", "breaching"]


@dataclass(frozen=True, order=True)
class Subject:
    """What a metric is of: a place's group, server, or one of its machines.

    Args:
        place: the role and region.
        dimension: the name of the metric's dimension; its value names the subject on CloudWatch.
        machine: which of the place's machines, counted from 0, where the dimension is of one machine.
    """

    place: Place
    dimension: str
    machine: int = 0


@dataclass(frozen=True)
class Series:
    """A metric as it is read: its name, and how the values of a period become one.

    Args:
        namespace: who reports it.
        metric: its name there.
        dimension: the name of its one dimension.
        statistic: how the values of a period become one.
        period_s: the period in seconds.
    """

    namespace: str
    metric: str
    dimension: str
    statistic: Statistic
    period_s: int = _MINUTE_S


@dataclass(frozen=True)
class Watch:
    """A series and the value that it must not pass.

    Args:
        key: a short name, part of the alarm's.
        title: what is watched, with its unit.
        series: the metric.
        threshold: in the metric's unit.
        meaning: what has happened when it is passed.
        comparison: on which side of the threshold the alarm is.
        periods: how many periods in a row it takes.
        missing: what a period without a value counts as; a group may be scaled to zero and report nothing.
    """

    key: str
    title: str
    series: Series
    threshold: float
    meaning: str
    comparison: Comparison = "GreaterThanThreshold"
    periods: int = 1
    missing: Missing = "notBreaching"


@dataclass(frozen=True)
class AlarmSpec:
    """A watch on one subject, by a name that no other alarm of the account has."""

    name: str
    subject: Subject
    watch: Watch

    @property
    def region(self) -> str:
        """Where the metric, the alarm and the topic that it tells are."""
        return self.subject.place.region


def alarms(site: Site) -> tuple[AlarmSpec, ...]:
    """Every alarm of the architecture, in the order of its places."""
    return tuple(
        AlarmSpec(_name(site, subject, watch), subject, watch)
        for place in places(site.architecture)
        for machine in range(machines(site.architecture, place))
        for watch in _watches(site.architecture, place)
        for subject in [Subject(place, watch.series.dimension, machine)]
    )


def machines(architecture: Architecture, place: Place) -> int:
    """How many subjects a place has: one group or server, or every machine with a fixed address."""
    return 1 + architecture.redis.standbys if place.role == "redis" else 1


def _name(site: Site, subject: Subject, watch: Watch) -> str:
    machine = (str(subject.machine),) if subject.place.role == "redis" else ()
    return site.name(subject.place.role, subject.place.region, *machine, watch.key)


def _watches(a: Architecture, place: Place) -> Iterator[Watch]:
    by_role = {
        "node": _node_watches,
        "core": _group_watches,
        "redis": _redis_watches,
        "monitoring": _machine_watches,
        "load": _no_watches,
    }
    if place.role == "sql":
        yield from _sql_watches(a, place)
    else:
        yield from by_role[place.role](a)
    if place == Place(steward(a), a.home):
        yield Watch(
            "ledger-backlog",
            "Entries of the journal that wait for SQL",
            _ours(metrics.LEDGER_BACKLOG, GROUP_DIMENSION, "Maximum"),
            a.alarms.ledger_backlog,
            "SQL does not keep up with the journal, or nothing drains it",
            periods=5,
            missing="breaching",
        )


def _no_watches(_: Architecture) -> Iterator[Watch]:
    """The machines that put the load on: a run says itself when one of them was too busy."""
    yield from ()


def _ours(metric: CustomMetric, dimension: str, statistic: Statistic) -> Series:
    return Series(metrics.NAMESPACE, metric.name, dimension, statistic)


def _memory_and_disk(a: Architecture, dimension: str) -> Iterator[Watch]:
    yield Watch(
        "memory",
        "Memory, %",
        _ours(metrics.MEMORY_PERCENT, dimension, "Maximum"),
        a.alarms.memory_percent,
        "a machine is short of memory",
        periods=5,
    )
    yield Watch(
        "disk",
        "Fullest file system, %",
        _ours(metrics.DISK_PERCENT, dimension, "Maximum"),
        a.alarms.disk_percent,
        "a file system fills up",
        periods=5,
    )


def _cpu(dimension: str, percent: float, meaning: str) -> Watch:
    namespace = "AWS/RDS" if dimension == SQL_DIMENSION else "AWS/EC2"
    series = Series(namespace, "CPUUtilization", dimension, "Average", _FIVE_MINUTES_S)
    return Watch("cpu", "CPU, %", series, percent, meaning)


def _group_watches(a: Architecture) -> Iterator[Watch]:
    yield _cpu(GROUP_DIMENSION, a.alarms.cpu_percent, "the group's machines are busy")
    yield from _memory_and_disk(a, GROUP_DIMENSION)


def _node_watches(a: Architecture) -> Iterator[Watch]:
    yield from _group_watches(a)
    yield Watch(
        "connections",
        "Descriptors taken by connections, %",
        _ours(metrics.CONNECTIONS_PERCENT, GROUP_DIMENSION, "Maximum"),
        a.alarms.connections_percent,
        "a node can soon take no more users",
        periods=2,
    )
    yield Watch(
        "accept-overflows",
        "Accept queue overflows a minute",
        _ours(metrics.ACCEPT_QUEUE_OVERFLOWS, GROUP_DIMENSION, "Sum"),
        a.alarms.accept_overflows,
        "users are refused: they come faster than the nodes accept them",
    )
    yield Watch(
        "broadcast-late",
        "Broadcasts late, ms (98th percentile)",
        _ours(metrics.BROADCAST_LATE_MS, GROUP_DIMENSION, "p98"),
        a.alarms.broadcast_late_ms,
        "users see old distributions",
        periods=3,
    )


def _machine_watches(a: Architecture) -> Iterator[Watch]:
    yield Watch(
        "status",
        "Failed status checks",
        Series("AWS/EC2", "StatusCheckFailed", INSTANCE_DIMENSION, "Maximum"),
        0,
        "the machine is down",
        periods=3,
        missing="breaching",
    )
    yield from _memory_and_disk(a, MACHINE_DIMENSION)


def _redis_watches(a: Architecture) -> Iterator[Watch]:
    """Redis runs its commands on one core: the machine is busy when that core is."""
    yield from _machine_watches(a)
    cores = ordered_cores(a.hardware, a.redis.instance_type) if a.redis.instance_type else 1
    yield _cpu(INSTANCE_DIMENSION, a.alarms.cpu_percent / cores, "the core that Redis runs on is busy")


def _sql_watches(a: Architecture, place: Place) -> Iterator[Watch]:
    yield _cpu(SQL_DIMENSION, a.alarms.cpu_percent, "the server is busy")
    if a.sql.volume:
        yield Watch(
            "storage",
            "Free storage, bytes",
            Series("AWS/RDS", "FreeStorageSpace", SQL_DIMENSION, "Minimum", _FIVE_MINUTES_S),
            round(a.sql.volume.size_gib * _GIB * (1 - a.alarms.disk_percent / 100)),
            "the server's storage fills up",
            comparison="LessThanThreshold",
        )
    yield Watch(
        "connections",
        "Connections of the server",
        Series("AWS/RDS", "DatabaseConnections", SQL_DIMENSION, "Maximum"),
        round(SQL_MAX_CONNECTIONS * a.alarms.connections_percent / 100),
        "the server can soon take no more connections",
        periods=2,
    )
    if place.region == a.home:
        return
    yield Watch(
        "replica-lag",
        "Replica behind its source, s",
        Series("AWS/RDS", "ReplicaLag", SQL_DIMENSION, "Maximum"),
        a.alarms.replica_lag_s,
        "reads of history are old",
        periods=3,
    )
    yield Watch(
        "replica-stopped",
        "Replica without replication (-1)",
        # RDS reports -1 where replication is not active, which no upper limit would notice.
        Series("AWS/RDS", "ReplicaLag", SQL_DIMENSION, "Minimum"),
        0,
        "the replica no longer replicates",
        comparison="LessThanThreshold",
        periods=5,
        missing="breaching",
    )
