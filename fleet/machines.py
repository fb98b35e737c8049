"""The running machines of a stack, found by its tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.errors import FleetError
from infra.architecture import Architecture, LoadFleet
from infra.aws_errors import AWS_ERRORS

Client = Callable[[str, str], Any]
"""Makes boto3's client of a service in a region."""


@dataclass(frozen=True, order=True)
class Machine:
    """A machine that runs: where it is, what it is for, and its id and name on AWS."""

    region: str
    role: str
    instance_id: str
    title: str = ""

    @property
    def name(self) -> str:
        """Its name in a run."""
        return f"{self.region}-{self.instance_id}"


def running(client: Client, stack: str, regions: Iterable[str]) -> list[Machine]:
    """The machines of a stack that run, in the order of the regions, then of their ids.

    Raises:
        FleetError: when AWS does not say.
    """
    return [machine for region in regions for machine in sorted(_in_region(client, stack, region))]


def _in_region(client: Client, stack: str, region: str) -> Iterable[Machine]:
    filters = [
        {"Name": "tag:isochrone:stack", "Values": [stack]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    try:
        pages = client("ec2", region).get_paginator("describe_instances").paginate(Filters=filters)
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
                    role, title = tags.get("isochrone:role", ""), tags.get("Name", "")
                    yield Machine(region, role, instance["InstanceId"], title)
    except AWS_ERRORS as error:
        raise FleetError(f"EC2 in {region} does not say which machines run: {error}") from error


def of_role(machines: Sequence[Machine], role: str) -> list[Machine]:
    """Those of a role, in their order."""
    return [machine for machine in machines if machine.role == role]


def load_fleet(architecture: Architecture) -> LoadFleet:
    """What the stack file says of the load machines.

    Raises:
        FleetError: when the stack has no fleet.
    """
    if architecture.load is None:
        raise FleetError(
            f"{architecture.name} has no load fleet: pulumi config set --path isochrone:load.per-region 1"
            f" -s {architecture.name} && pulumi up -s {architecture.name}"
        )
    return architecture.load


def load_machines(machines: Sequence[Machine], architecture: Architecture) -> list[Machine]:
    """The load machines, as many in every region as the stack file says.

    Raises:
        FleetError: when the stack has no fleet, or some of its machines do not run.
    """
    load = load_fleet(architecture)
    found = of_role(machines, "load")
    counts: Mapping[str, int] = {
        region: sum(machine.region == region for machine in found) for region in load.regions
    }
    if few := [
        f"{n} of {load.per_region} in {region}" for region, n in counts.items() if n != load.per_region
    ]:
        raise FleetError(
            f"not all load machines run: {', '.join(few)}; wait until they have started, or run `pulumi up`"
        )
    return [machine for machine in found if machine.region in load.regions]
