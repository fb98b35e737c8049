"""The metrics that are sent to CloudWatch: what alarms, scaling and the dashboard of the stacks read.

They are the ones that the stacks declare, as is the name of the dimension; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MACHINE_DIMENSION: Final = "Machine"
"""Under which a machine reports that is one of its own; those of a group report under the group's name."""


@dataclass(frozen=True)
class CloudWatchMetric:
    """The name and unit of a metric on CloudWatch.

    A `spread` metric is sent as values and counts, every event of the minute; the others as one value.
    """

    name: str
    unit: Literal["Percent", "Count", "Milliseconds", "Bytes"]
    spread: bool = False


CPU_PERCENT: Final = CloudWatchMetric("CpuPercent", "Percent")
NETWORK_IN: Final = CloudWatchMetric("NetworkInBytes", "Bytes")
NETWORK_OUT: Final = CloudWatchMetric("NetworkOutBytes", "Bytes")
MEMORY_PERCENT: Final = CloudWatchMetric("MemoryPercent", "Percent")
DISK_PERCENT: Final = CloudWatchMetric("DiskPercent", "Percent")
CONNECTIONS: Final = CloudWatchMetric("Connections", "Count")
CONNECTIONS_PERCENT: Final = CloudWatchMetric("ConnectionsPercent", "Percent")
ACCEPT_QUEUE_OVERFLOWS: Final = CloudWatchMetric("AcceptQueueOverflows", "Count")
BROADCAST_LATE_MS: Final = CloudWatchMetric("BroadcastLateMs", "Milliseconds", spread=True)
LEDGER_BACKLOG: Final = CloudWatchMetric("LedgerBacklog", "Count")

CLOUDWATCH_METRICS: Final = (
    CPU_PERCENT,
    NETWORK_IN,
    NETWORK_OUT,
    MEMORY_PERCENT,
    DISK_PERCENT,
    CONNECTIONS,
    CONNECTIONS_PERCENT,
    ACCEPT_QUEUE_OVERFLOWS,
    BROADCAST_LATE_MS,
    LEDGER_BACKLOG,
)
