"""What a minute of the machine is on CloudWatch: values and their requests, within the limits of one call.

The limits are those of PutMetricData: 1,000 metrics and 1 MB a call, 150 different values a metric.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ami.node.reporter import names, rates
from ami.node.reporter.collectors import api, machine, redis_server, sockets
from ami.node.reporter.figures import Snapshot
from ami.node.reporter.names import CloudWatchMetric

MOST_METRICS: Final = 1_000
MOST_VALUES: Final = 150
MOST_BYTES: Final = 1_000_000

_DATUM_BYTES: Final = 600
"""More than the longest datum takes on the wire without its values, in any of botocore's protocols."""
_VALUE_BYTES: Final = 160
"""More than a value and its count take there."""


@dataclass(frozen=True)
class Datum:
    """One metric of one minute: how often it had which value.

    `at_s` is the beginning of the minute (Unix time, s).
    """

    metric: CloudWatchMetric
    at_s: int
    values: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """More than it takes in a request."""
        return _DATUM_BYTES + _VALUE_BYTES * len(self.values)


def data(before: Snapshot | None, after: Snapshot, at_s: int, *, alone: bool = False) -> tuple[Datum, ...]:
    """What is sent for a minute; what could not be measured is left out.

    Args:
        before: the figures at the minute's beginning, None when there are none.
        after: those at its end.
        at_s: when it began (Unix time, s).
        alone: whether the machine is one of its own, whose processor and network AWS does not take every
            minute as it does of a group's machines.
    """
    single = {
        **(_work(before, after) if alone and before else {}),
        names.MEMORY_PERCENT: _memory_percent(after),
        names.DISK_PERCENT: _disk_percent(after),
        names.CONNECTIONS: after.value(api.CONNECTIONS),
        names.CONNECTIONS_PERCENT: max(after.series(api.DESCRIPTORS_PERCENT.name).values(), default=None),
        names.ACCEPT_QUEUE_OVERFLOWS: (
            rates.total_increase(before, after, sockets.LISTEN_OVERFLOWS.name) if before else None
        ),
        names.LEDGER_BACKLOG: after.value(redis_server.LEDGER_BACKLOG),
    }
    found = [Datum(metric, at_s, (value,), (1,)) for metric, value in single.items() if value is not None]
    if before is not None:
        late = rates.spread(
            before.series(api.BROADCAST_LATE, "_bucket"), after.series(api.BROADCAST_LATE, "_bucket")
        )
        found += _spread(names.BROADCAST_LATE_MS, at_s, late)
    return tuple(found)


def batches(waiting: Iterable[Datum]) -> Iterator[tuple[Datum, ...]]:
    """Data in their order, in parts that one call may have."""
    batch: list[Datum] = []
    size = 0
    for datum in waiting:
        if batch and (len(batch) == MOST_METRICS or size + datum.size_bytes > MOST_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(datum)
        size += datum.size_bytes
    if batch:
        yield tuple(batch)


def request(batch: Sequence[Datum], namespace: str, dimension: str, dimension_value: str) -> dict[str, Any]:
    """The arguments of boto3's `put_metric_data`."""
    dimensions = [{"Name": dimension, "Value": dimension_value}]
    return {
        "Namespace": namespace,
        "MetricData": [
            {
                "MetricName": datum.metric.name,
                "Unit": datum.metric.unit,
                "Dimensions": dimensions,
                "Timestamp": datetime.fromtimestamp(datum.at_s, UTC),
                **(
                    {"Values": list(datum.values), "Counts": list(map(float, datum.counts))}
                    if datum.metric.spread
                    else {"Value": datum.values[0]}
                ),
            }
            for datum in batch
        ],
    }


def _work(before: Snapshot, after: Snapshot) -> dict[CloudWatchMetric, float | None]:
    cpu, network = machine.CPU_SECONDS.name, machine.NETWORK_BYTES.name
    moved = rates.increases(before.series(network), after.series(network))

    def way(direction: str) -> float | None:
        amounts = [amount for labels, amount in moved.items() if labels[1] == direction]
        return sum(amounts) if amounts else None

    return {
        names.CPU_PERCENT: rates.busy_percent(before.series(cpu), after.series(cpu)).get("all"),
        names.NETWORK_IN: way("in"),
        names.NETWORK_OUT: way("out"),
    }


def _spread(metric: CloudWatchMetric, at_s: int, events: Mapping[float, int]) -> Iterator[Datum]:
    pairs = list(events.items())
    for index in range(0, len(pairs), MOST_VALUES):
        values, counts = zip(*pairs[index : index + MOST_VALUES], strict=True)
        yield Datum(metric, at_s, values, counts)


def _memory_percent(snapshot: Snapshot) -> float | None:
    total, available = snapshot.value(machine.MEMORY_TOTAL), snapshot.value(machine.MEMORY_AVAILABLE)
    if not total or available is None:
        return None
    return 100 * (total - available) / total


def _disk_percent(snapshot: Snapshot) -> float | None:
    """Used of used and available, as `df` has it: a part is kept for root."""
    used, available = (
        snapshot.series(metric.name) for metric in (machine.FILESYSTEM_USED, machine.FILESYSTEM_AVAILABLE)
    )
    shares = [
        100 * value / (value + available[path])
        for path, value in used.items()
        if path in available and value + available[path] > 0
    ]
    return max(shares, default=None)
