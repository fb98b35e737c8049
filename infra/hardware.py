"""The machines that an architecture may name: cores and memory.

Source: Amazon EC2 and RDS instance types as of 2015 and the thesis's chapter 5; memory in GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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
