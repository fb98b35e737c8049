"""The metrics that a machine's reporter sends to CloudWatch, and by what name the machine is known there.

The reporter on the image sends one value of each a minute, under one dimension: a machine of a group under
the group's name, a machine with a fixed address under its own. Alarms, scaling and the dashboard read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from infra.flows import Role
from infra.site import Site

NAMESPACE: Final = "Isochrone"

GROUP_DIMENSION: Final = "AutoScalingGroupName"
"""Under which the machines of a group (node, core) report: many values a minute, one of each machine."""

MACHINE_DIMENSION: Final = "Machine"
"""Under which a machine of its own (Redis, monitoring) reports, by `machine_name`.

Its processor and network are among that: AWS takes them every five minutes, and of a group's machines, which
have detailed monitoring, every minute.
"""


@dataclass(frozen=True)
class CustomMetric:
    """A metric of the namespace `Isochrone`: its name and unit on CloudWatch, and what one value means.

    A `spread` metric is sent as values and counts, every event of the minute, so that percentiles are exact.
    """

    name: str
    unit: Literal["Percent", "Count", "Milliseconds", "Bytes"]
    meaning: str
    spread: bool = False


CPU_PERCENT: Final = CustomMetric(
    "CpuPercent", "Percent", "time of the cores that was not idle; of a machine of its own"
)
NETWORK_IN: Final = CustomMetric("NetworkInBytes", "Bytes", "bytes received; by a machine of its own")
NETWORK_OUT: Final = CustomMetric("NetworkOutBytes", "Bytes", "bytes sent; by a machine of its own")
MEMORY_PERCENT: Final = CustomMetric(
    "MemoryPercent", "Percent", "memory in use, without what the kernel can give back"
)
DISK_PERCENT: Final = CustomMetric(
    "DiskPercent", "Percent", "space in use on the machine's fullest file system"
)
CONNECTIONS: Final = CustomMetric("Connections", "Count", "open WebSocket connections of the machine")
CONNECTIONS_PERCENT: Final = CustomMetric(
    "ConnectionsPercent", "Percent", "descriptors taken by connections, of those that the processes may open"
)
ACCEPT_QUEUE_OVERFLOWS: Final = CustomMetric(
    "AcceptQueueOverflows", "Count", "connections refused in the minute since an accept queue was full"
)
BROADCAST_LATE_MS: Final = CustomMetric(
    "BroadcastLateMs",
    "Milliseconds",
    "from a broadcast's publish time until the node has sent it",
    spread=True,
)
LEDGER_BACKLOG: Final = CustomMetric("LedgerBacklog", "Count", "entries of the journal that wait for SQL")

CUSTOM_METRICS: Final = (
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


def machine_name(site: Site, role: Role, index: int = 0) -> str:
    """The value of `MACHINE_DIMENSION` for a machine with a fixed address; `index` counts those of a role."""
    return site.name(role, str(index))
