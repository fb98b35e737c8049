"""The machines of the stack, listed for Prometheus."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ami.node.document import Finding
from ami.node.reporter.figures import Snapshot
from ami.node.reporter.listing import LISTED, LISTING_UP, Listing, ListingError, Machine, machines, to_json

FINDING = Finding(("eu-west-1", "us-east-1"), "isochrone:stack", "geo-ii")
NODE = {"isochrone:stack": "geo-ii", "isochrone:role": "node"}


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield


def start(region: str, tags: dict[str, str], count: int = 1) -> list[dict[str, Any]]:
    ec2 = boto3.client("ec2", region_name=region)
    found: list[dict[str, Any]] = ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )["Instances"]
    return found


def end(region: str, instance: dict[str, Any]) -> None:
    boto3.client("ec2", region_name=region).stop_instances(InstanceIds=[instance["InstanceId"]])


def test_running_machines_of_the_stack_in_all_regions_are_listed() -> None:
    here, stopped = start("eu-west-1", NODE, 2)
    end("eu-west-1", stopped)
    start("eu-west-1", {**NODE, "isochrone:stack": "geo-i"})
    (there,) = start("us-east-1", {**NODE, "isochrone:role": "core"})
    start("sa-east-1", NODE)
    start("us-east-1", {**NODE, "isochrone:role": "load"})
    listed = json.loads(to_json(Listing(FINDING).machines(), 9100))
    assert listed == [
        {
            "targets": [f"{each['PrivateIpAddress']}:9100"],
            "labels": {
                "stack": "geo-ii",
                "role": role,
                "region": region,
                "zone": each["Placement"]["AvailabilityZone"],
                "machine": each["InstanceId"],
            },
        }
        for each, role, region in ((here, "node", "eu-west-1"), (there, "core", "us-east-1"))
    ]


def test_many_machines_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.node.reporter.listing._PAGE", 5)
    for _ in range(4):
        start("eu-west-1", NODE, 3)
    assert len(list(machines(FINDING, "eu-west-1"))) == 12


def machine(region: str) -> Machine:
    return Machine("i-1", "10.1.0.5", region, f"{region}a", "node", "geo-ii")


@dataclass
class Regions:
    """Regions that answer or do not, and a clock."""

    now_s: float = 0.0
    calls: int = 0
    failing: frozenset[str] = frozenset()

    def describe(self, region: str) -> Iterable[Machine]:
        self.calls += 1
        if region in self.failing:
            raise RuntimeError(f"{region} is away")
        return [machine(region)]

    def listing(self) -> Listing:
        return Listing(FINDING, self.describe, now_s=lambda: self.now_s)


def test_what_is_known_is_listed_again_for_half_a_minute() -> None:
    regions = Regions()
    listing = regions.listing()
    listing.machines()
    regions.now_s = 29
    listing.machines()
    assert regions.calls == 2
    regions.now_s = 31
    listing.machines()
    assert regions.calls == 4


def test_a_region_that_does_not_answer_keeps_its_machines() -> None:
    regions = Regions()
    listing = regions.listing()
    assert len(listing.machines()) == 2
    regions.failing, regions.now_s = frozenset(("us-east-1",)), 31
    assert len(listing.machines()) == 2
    told = Snapshot(0, tuple(listing.collect()))
    assert told.series(LISTING_UP.name) == {("eu-west-1",): 1, ("us-east-1",): 0}
    assert told.series(LISTED.name) == {("eu-west-1",): 1, ("us-east-1",): 1}


def test_a_region_that_never_answered_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    regions = Regions(failing=frozenset(("us-east-1",)))
    assert regions.listing().machines() == (machine("eu-west-1"),)
    assert caplog.messages == ["us-east-1 does not list its machines: us-east-1 is away"]


def test_nothing_is_listed_when_no_region_ever_answered() -> None:
    regions = Regions(failing=frozenset(FINDING.regions))
    with pytest.raises(ListingError, match="eu-west-1 is away; us-east-1: us-east-1 is away"):
        regions.listing().machines()


def test_a_region_that_hangs_is_not_waited_for() -> None:
    go_on = threading.Event()

    def describe(region: str) -> Iterable[Machine]:
        if region == "us-east-1":
            go_on.wait()
        return [machine(region)]

    listing = Listing(FINDING, describe, deadline_s=0.05)
    assert listing.machines() == (machine("eu-west-1"),)
    assert Snapshot(0, tuple(listing.collect())).series(LISTING_UP.name)["us-east-1",] == 0
    go_on.set()


def test_before_anybody_asked_nothing_is_said() -> None:
    assert list(Regions().listing().collect()) == []
