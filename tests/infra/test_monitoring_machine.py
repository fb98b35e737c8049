"""The monitoring machine: private, at its fixed address at home, on an encrypted disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.architecture import Monitoring, Volume
from infra.metric_names import machine_name
from infra.monitoring_machine import MonitoringMachine, MonitoringMachineArgs
from infra.network import RegionNetwork
from infra.site import Site
from infra.stackfile import load
from tests.infra.recorded import Registered, of_type, registered

ROOT = Path(__file__).parents[2]


class _Network(RegionNetwork):
    """A network that is there already."""

    def __init__(self) -> None:
        self.isolated_subnets = [pulumi.Output.from_input(f"subnet-{number}") for number in range(2)]
        self.security_groups = {"monitoring": pulumi.Output.from_input("sg-monitoring")}


def machine(stack: str = "geo-i", **changes: Any) -> Registered:
    site = Site(replace(load(stack, ROOT), **changes))
    found = registered(
        lambda: MonitoringMachine(
            "monitoring", MonitoringMachineArgs(site, _Network(), "ami-1", "profile-1", '{"schema":1}')
        )
    )
    return of_type(found, "Instance")["monitoring-machine"]


def test_it_is_at_its_fixed_address_at_home_and_has_no_public_one() -> None:
    inputs = machine().inputs
    assert (inputs["region"], inputs["subnetId"], inputs["privateIp"]) == (
        "eu-west-1",
        "subnet-0",
        "10.4.128.20",
    )
    assert inputs["vpcSecurityGroupIds"] == ["sg-monitoring"]
    assert not inputs.get("associatePublicIpAddress")
    assert "keyName" not in inputs


def test_its_metadata_takes_a_token_and_one_hop() -> None:
    assert machine().inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (Volume(size_gib=80), {"volumeType": "gp3", "volumeSize": 80}),
        (Volume(size_gib=80, iops=4000), {"volumeType": "gp3", "volumeSize": 80, "iops": 4000}),
    ],
)
def test_its_disk_is_encrypted_and_of_the_stack_files_size(
    volume: Volume, expected: Mapping[str, Any]
) -> None:
    disk = dict(machine(monitoring=Monitoring(volume=volume)).inputs["rootBlockDevice"])
    assert disk.pop("tags")["isochrone:stack"] == "geo-i"
    assert disk == {"encrypted": True, "deleteOnTermination": True, **expected}


@pytest.mark.parametrize(("hardware", "expected"), [("thesis", "m3.medium"), ("current", "t3.medium")])
def test_its_type_is_that_of_the_chosen_hardware(hardware: str, expected: str) -> None:
    assert machine(hardware=hardware).inputs["instanceType"] == expected


def test_a_new_image_does_not_replace_it() -> None:
    assert list(machine().ignores) == ["ami"]


def test_it_boots_as_what_it_is_told_and_reports_by_its_name() -> None:
    inputs = machine().inputs
    assert (inputs["ami"], inputs["iamInstanceProfile"], inputs["userData"]) == (
        "ami-1",
        "profile-1",
        '{"schema":1}',
    )
    assert inputs["tags"]["Name"] == machine_name(Site(load("geo-i", ROOT)), "monitoring")
    assert inputs["tags"]["isochrone:role"] == "monitoring"
