"""All machines of the stack, as Prometheus discovers them over HTTP.

The format is that of Prometheus's HTTP service discovery: a JSON list of targets with labels.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ami.node import aws
from ami.node.document import Finding
from ami.node.reporter import clients, concurrently
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Metric

_log = logging.getLogger(__name__)

MAX_AGE_S: Final = 30.0
DEADLINE_S: Final = 4.0
"""How long the regions have to answer: who asks for the list waits 5 s."""

ROLE_TAG: Final = "isochrone:role"
STACK_TAG: Final = "isochrone:stack"
LOAD: Final = "load"
"""The role of machines to which nobody can open a connection, Prometheus included."""

MOST_MACHINES: Final = 5_000
_PAGE: Final = 1_000

LISTED: Final = Metric(
    "isochrone_reporter_listed_machines", "gauge", "machines that are listed for Prometheus", ("region",)
)
LISTING_UP: Final = Metric(
    "isochrone_reporter_listing_up", "gauge", "1 when a region last said which machines it has", ("region",)
)


class ListingError(MeasuringError):
    """No region says which machines it has."""


@dataclass(frozen=True)
class Machine:
    """A machine that runs a reporter."""

    instance: str
    address: str
    region: str
    zone: str
    role: str
    stack: str


Describe = Callable[[str], Iterable[Machine]]
"""The machines of a region; raises what AWS raises."""


def machines(finding: Finding, region: str) -> Iterator[Machine]:
    """The running machines of a region that have the tag, by EC2.

    Raises:
        AwsError: when the region cannot be asked.
        botocore.exceptions.ClientError: and `BotoCoreError`, when it refuses or does not answer.
    """
    pages = clients.client("ec2", region).get_paginator("describe_instances")
    filters = [
        {"Name": f"tag:{finding.tag}", "Values": [finding.value]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    count = 0
    for page in pages.paginate(Filters=filters, PaginationConfig={"PageSize": _PAGE}):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                count += 1
                if count > MOST_MACHINES:
                    return
                if instance.get("PrivateIpAddress"):
                    found = _machine(instance, region)
                    if found.role != LOAD:
                        yield found


def _machine(instance: Mapping[str, Any], region: str) -> Machine:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
    return Machine(
        instance["InstanceId"],
        instance["PrivateIpAddress"],
        region,
        instance.get("Placement", {}).get("AvailabilityZone", ""),
        tags.get(ROLE_TAG, ""),
        tags.get(STACK_TAG, ""),
    )


def to_json(found: Iterable[Machine], port: int) -> bytes:
    """The list as Prometheus reads it, in a fixed order."""
    return json.dumps(
        [
            {
                "targets": [f"{machine.address}:{port}"],
                "labels": {
                    "stack": machine.stack,
                    "role": machine.role,
                    "region": machine.region,
                    "zone": machine.zone,
                    "machine": machine.instance,
                },
            }
            for machine in sorted(found, key=lambda each: (each.region, each.role, each.instance))
        ]
    ).encode()


class Listing:
    """What is known of the machines in all regions, asked for at most every `max_age_s`.

    A region that does not answer keeps the machines that it last had: a failing look-up must not take a
    region out of sight.

    Args:
        finding: which machines, in which regions.
        describe: how a region is asked.
        max_age_s: for how long an answer counts as the present one.
        deadline_s: how long the regions have together.
        now_s: the monotonic clock.
    """

    name = "listing"

    def __init__(
        self,
        finding: Finding,
        describe: Describe | None = None,
        max_age_s: float = MAX_AGE_S,
        deadline_s: float = DEADLINE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._regions = finding.regions
        self._describe = describe or (lambda region: machines(finding, region))
        self._max_age_s = max_age_s
        self._deadline_s = deadline_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._asked_at_s: float | None = None
        self._found: dict[str, tuple[Machine, ...]] = {}
        self._problems: dict[str, str] = {}
        self._asking: dict[str, threading.Thread] = {}

    def machines(self) -> tuple[Machine, ...]:
        """All machines that are known, at most `max_age_s` ago.

        Raises:
            ListingError: when no region has ever answered.
        """
        with self._lock:
            if self._asked_at_s is None or self._now_s() - self._asked_at_s >= self._max_age_s:
                self._ask()
                self._asked_at_s = self._now_s()
            if not self._found:
                raise ListingError(
                    "no region lists its machines: "
                    + "; ".join(f"{region}: {problem}" for region, problem in sorted(self._problems.items()))
                )
            return tuple(machine for found in list(self._found.values()) for machine in found)

    def collect(self) -> Iterator[Figure]:
        """See `Collector`: what was last listed; asks nobody."""
        for region, found in list(self._found.items()):
            yield Figure(LISTED, len(found), (region,))
        if self._asked_at_s is not None:
            for region in self._regions:
                yield Figure(LISTING_UP, region not in self._problems, (region,))

    def _ask(self) -> None:
        for region in self._regions:
            if region not in self._asking or not self._asking[region].is_alive():
                self._asking[region] = concurrently.start(
                    lambda region=region: self._ask_one(region),  # type: ignore[misc]
                    f"listing-{region}",
                )
        concurrently.wait_for(list(self._asking.values()), self._deadline_s)
        for region, thread in self._asking.items():
            if thread.is_alive():
                self._tell(region, f"does not answer within {self._deadline_s:g} s")

    def _ask_one(self, region: str) -> None:
        try:
            self._found[region] = tuple(self._describe(region))
        except aws.REFUSALS as error:
            self._tell(region, aws.reason(error))
        except Exception as error:  # one region must not hide the others
            self._tell(region, str(error) or type(error).__name__)
        else:
            self._tell(region, None)

    def _tell(self, region: str, problem: str | None) -> None:
        if problem == self._problems.get(region):
            return
        if problem is None:
            self._problems.pop(region, None)
            _log.info("%s lists its machines again", region)
        else:
            self._problems[region] = problem
            _log.warning("%s does not list its machines: %s", region, problem)
