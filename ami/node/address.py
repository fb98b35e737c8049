"""A public address of the pool, which the records of the machine's region already name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

from ami.errors import AmiError
from ami.node import aws
from ami.node.document import AddressPool

PATIENCE_S: Final = 120.0
"""How long a machine waits for an address, as another one that goes has its own until it has gone."""

PAUSE_S: Final = 2.0


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

    Machines that boot at once choose at random and are refused what another one was given; they try again.

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
            if free := [a for a in addresses if not a.get("AssociationId")]:
                chosen = random.choice(free)  # noqa: S311
                ec2.associate_address(
                    AllocationId=chosen["AllocationId"], InstanceId=instance_id, AllowReassociation=False
                )
                return str(chosen["PublicIp"])
            why = f"none of its {len(addresses)} is free"
        except aws.REFUSALS as error:
            why = aws.reason(error)
        if time.monotonic() >= deadline:
            raise AddressError(f"no address of the pool {pool.value} in {region}: {why}")
        sleep(random.uniform(0.5, 1.5) * PAUSE_S)  # noqa: S311


def _pool(ec2: Any, pool: AddressPool) -> list[dict[str, Any]]:
    found = ec2.describe_addresses(Filters=[{"Name": f"tag:{pool.tag}", "Values": [pool.value]}])
    return list(found["Addresses"])
