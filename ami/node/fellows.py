"""The other machines of the stack, found by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from ami.node import aws
from ami.node.document import Finding

ROLE_TAG: Final = "isochrone:role"
"""The tag that says what a machine is for."""


class Fellow(Struct, frozen=True):
    """A machine of the stack that runs."""

    instance_id: str
    address: str


def running(region: str, finding: Finding, role: str) -> Iterator[Fellow]:
    """The machines of a role in a region that run at present; raises what `aws.REFUSALS` names."""
    ec2: Any = aws.client("ec2", region)
    filters = [
        {"Name": f"tag:{finding.tag}", "Values": [finding.value]},
        {"Name": f"tag:{ROLE_TAG}", "Values": [role]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    for page in ec2.get_paginator("describe_instances").paginate(Filters=filters):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                yield Fellow(instance["InstanceId"], instance["PrivateIpAddress"])
