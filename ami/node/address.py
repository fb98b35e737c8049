"""A public address of the pool, which the records of the machine's region already name."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ami.errors import AmiError
from ami.node import aws
from ami.node.document import AddressPool

PATIENCE_S: Final = 120.0
"""How long a machine waits for an address, as another one that goes has its own until it has gone."""

PAUSE_S: Final = 2.0

_TAKEN: Final = "Resource.AlreadyAssociated"
"""What AWS says of an address that another machine has."""


class AddressError(AmiError):
    """The machine could not take an address of its pool, so that nobody would find it."""


def take(
    pool: AddressPool,
    region: str,
    instance_id: str,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Take a free address of the pool; the one that the machine has already, after a reboot.

    It is the lowest numbered one that is free, so that the highest are the ones to spare when a pool becomes
    smaller; addresses without a number come last. Of machines that boot at once each is given another one, as
    AWS refuses what somebody has: whoever is refused tries the next.

    Returns:
        The address.

    Raises:
        AddressError: when there was none in time.
        AwsError: when EC2 cannot be asked.
    """
    ec2 = aws.client("ec2", region)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            addresses = _pool(ec2, pool)
            if mine := next((a for a in addresses if a.get("InstanceId") == instance_id), None):
                return str(mine["PublicIp"])
            for free in sorted((a for a in addresses if not a.get("AssociationId")), key=_number):
                if _associated(ec2, free["AllocationId"], instance_id):
                    return str(free["PublicIp"])
            why = f"none of its {len(addresses)} is free"
        except aws.REFUSALS as error:
            why = aws.reason(error)
        if time.monotonic() >= deadline:
            raise AddressError(f"no address of the pool {pool.value} in {region}: {why}")
        sleep(random.uniform(0.5, 1.5) * PAUSE_S)  # noqa: S311


def _associated(ec2: Any, allocation_id: str, instance_id: str) -> bool:
    """Whether the machine got the address, False when another one has it."""
    try:
        ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=False)
    except aws.REFUSALS as error:
        if aws.code(error) == _TAKEN:
            return False
        raise
    return True


def _number(address: Mapping[str, Any]) -> tuple[float, str]:
    """Where an address comes in its pool: by the number that its name ends with."""
    name = next((str(tag["Value"]) for tag in address.get("Tags", ()) if tag["Key"] == "Name"), "")
    number = name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else math.inf), str(address["AllocationId"])


def _pool(ec2: Any, pool: AddressPool) -> list[dict[str, Any]]:
    found = ec2.describe_addresses(Filters=[{"Name": f"tag:{pool.tag}", "Values": [pool.value]}])
    return list(found["Addresses"])
