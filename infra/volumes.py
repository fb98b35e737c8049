"""What AWS allows of a disk with provisioned operations (io1, and gp3 on a machine).

Sources: the Amazon EBS user guide, "Provisioned IOPS SSD volumes" and "General Purpose SSD volumes", and the
Amazon RDS user guide, "Amazon RDS DB instance storage", for MariaDB and MySQL.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, Literal

MOST_IOPS_PER_GIB: Final = 50
"""Of io1, on a machine and on RDS."""

LEAST_SQL_IOPS_PER_GIB: Final = 0.5
"""Of io1 on RDS, whose range for MariaDB and MySQL is 0.5 to 50."""

GP3_LEAST_IOPS: Final = 3000
GP3_MOST_IOPS: Final = 16_000
"""The operations per second that a gp3 volume has anyway, and that it may have."""

IMAGE_GIB: Final = 8
"""The size of the machine image's disk unless its stack says otherwise; no root volume may be smaller."""

LEAST_IOPS: Final = 100
LEAST_SQL_IOPS: Final = 1000
LEAST_SQL_GIB: Final = 20
LEAST_PROVISIONED_SQL_GIB: Final = 100


def root_volume_kind(iops: int | None) -> Literal["gp3", "io1"]:
    """The kind of a machine's root volume: gp3 as far as it goes, io1 beyond.

    gp3 has the operations per second that are ordered, as io1 has, at less cost.
    """
    return "io1" if iops and iops > GP3_MOST_IOPS else "gp3"


def instance_volume_mistakes(size_gib: int, iops: int | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a machine's disk, by the key of a volume."""
    if iops is None:
        return
    if iops < LEAST_IOPS:
        yield "iops", f"is {iops}; a disk has at least {LEAST_IOPS} when they are provisioned"
    yield from _per_gib(size_gib, iops)


def sql_volume_mistakes(size_gib: int, iops: int | None) -> Iterator[tuple[str, str]]:
    """What is wrong with the disk of an RDS instance, by the key of a volume."""
    least = LEAST_SQL_GIB if iops is None else LEAST_PROVISIONED_SQL_GIB
    if size_gib < least:
        kind = "" if iops is None else " with provisioned iops"
        yield "size-gib", f"is {size_gib}; RDS takes at least {least} GiB{kind}"
    if iops is None:
        return
    if iops < LEAST_SQL_IOPS:
        yield "iops", f"is {iops}; RDS provisions at least {LEAST_SQL_IOPS}"
    elif iops < LEAST_SQL_IOPS_PER_GIB * size_gib:
        least_iops = math.ceil(LEAST_SQL_IOPS_PER_GIB * size_gib)
        yield (
            "iops",
            f"is {iops}; RDS gives a disk of {size_gib} GiB at least {least_iops}"
            f" ({LEAST_SQL_IOPS_PER_GIB} per GiB)",
        )
    yield from _per_gib(size_gib, iops)


def _per_gib(size_gib: int, iops: int) -> Iterator[tuple[str, str]]:
    if iops > MOST_IOPS_PER_GIB * size_gib:
        yield (
            "iops",
            f"is {iops}; a disk of {size_gib} GiB has at most {MOST_IOPS_PER_GIB * size_gib}"
            f" ({MOST_IOPS_PER_GIB} per GiB)",
        )
