"""The machines that an architecture may name: cores and memory, and what is ordered for each.

Sources: Amazon EC2 and RDS instance types as of 2015, the thesis's chapter 5, and the instance type pages of
2024 for the current generation. Memory in GiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Hardware = Literal["thesis", "current"]
"""Whether the thesis's own types are ordered or their equivalents of the current generation."""


@dataclass(frozen=True)
class Capacity:
    """A machine's cores (virtual CPUs) and memory (GiB)."""

    cores: int
    memory_gib: float


INSTANCE_TYPES: Final = {
    "c3.8xlarge": Capacity(32, 60),
    "m3.medium": Capacity(1, 3.75),
    "m3.xlarge": Capacity(4, 15),
    "m3.2xlarge": Capacity(8, 30),
    "m2.xlarge": Capacity(2, 17.1),
}
"""EC2 instance types."""

SQL_CLASSES: Final = {
    "db.m3.medium": Capacity(1, 3.75),
    "db.r3.2xlarge": Capacity(8, 61),
    "db.r3.4xlarge": Capacity(16, 122),
}
"""RDS instance classes."""

CURRENT_TYPES: Final[Mapping[str, str]] = {
    "c3.8xlarge": "c6i.8xlarge",
    "m3.medium": "t3.medium",
    "m3.xlarge": "m6i.xlarge",
    "m3.2xlarge": "m6i.2xlarge",
    "m2.xlarge": "r6i.large",
}
"""The current type of the same cores and at least nearly the same memory (t3.medium has a core more)."""

CURRENT_CAPACITIES: Final[Mapping[str, Capacity]] = {
    "c6i.8xlarge": Capacity(32, 64),
    "t3.medium": Capacity(2, 4),
    "m6i.xlarge": Capacity(4, 16),
    "m6i.2xlarge": Capacity(8, 32),
    "r6i.large": Capacity(2, 16),
}
"""EC2 instance types of the current generation."""

THESIS_SQL_CLASSES: Final[Mapping[str, str]] = {
    "db.m3.medium": "db.t3.medium",
    "db.r3.2xlarge": "db.r5.2xlarge",
    "db.r3.4xlarge": "db.r5.4xlarge",
}
"""The nearest class that RDS still takes orders for: db.m3 and db.r3 are withdrawn."""

CURRENT_SQL_CLASSES: Final[Mapping[str, str]] = {
    "db.m3.medium": "db.t4g.medium",
    "db.r3.2xlarge": "db.r6i.2xlarge",
    "db.r3.4xlarge": "db.r6i.4xlarge",
}
"""The class of the current generation with the same cores and nearly the same memory."""

ORDERED_SQL_CAPACITIES: Final = {
    "db.t3.medium": Capacity(2, 4),
    "db.r5.2xlarge": Capacity(8, 64),
    "db.r5.4xlarge": Capacity(16, 128),
    "db.t4g.medium": Capacity(2, 4),
    "db.r6i.2xlarge": Capacity(8, 64),
    "db.r6i.4xlarge": Capacity(16, 128),
}
"""RDS instance classes that are ordered, by what RDS says of them.

Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html
"""


def ordered_type(hardware: Hardware, instance_type: str) -> str:
    """The EC2 type that is ordered for one that a stack file names."""
    return CURRENT_TYPES[instance_type] if hardware == "current" else instance_type


def ordered_cores(hardware: Hardware, instance_type: str) -> int:
    """The cores (virtual CPUs) of the EC2 type that is ordered for one that a stack file names."""
    ordered = ordered_type(hardware, instance_type)
    return (CURRENT_CAPACITIES if hardware == "current" else INSTANCE_TYPES)[ordered].cores


def ordered_class(hardware: Hardware, sql_class: str) -> str:
    """The RDS class that is ordered for one that a stack file names."""
    return (CURRENT_SQL_CLASSES if hardware == "current" else THESIS_SQL_CLASSES)[sql_class]
