"""What AWS refuses of machines and disks because of what is there already, or is not, and moto takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.cloud.account import add_image
from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import machines
from tests.infra.cloud.registry import Place
from tests.infra.cloud.used_account import HOME, World


def template(world: World, **other: Any) -> dict[str, Any]:
    return {"ImageId": world.image, "InstanceType": "m3.medium", "UserData": "e30=", **other}


def test_a_launch_template_in_the_wrong_form(world: World) -> None:
    machines.template_in_wrong_form(world.home, "nodes", template(world))
    for bad, message in (
        ({"UserData": "{}"}, "not Base64"),
        ({"UserData": "e30g" * 8192}, "longer than 16384"),
        ({"TagSpecifications": [{"ResourceType": "machine"}]}, "tags no machine"),
        ({"NetworkInterfaces": [{}], "SecurityGroupIds": [world.group]}, "not both"),
        ({"SecurityGroupIds": [world.group, world.other_group]}, "another network"),
        ({"EbsOptimized": True}, "cannot be optimised"),
        ({"InstanceType": "t4g.medium"}, "is not of the image's architecture"),
        ({"InstanceType": "m3.huge"}, "m3.huge"),
    ):
        with pytest.raises(Exception, match=message):
            machines.template_in_wrong_form(world.home, "nodes", template(world, **bad))


def test_a_profile_without_a_role(world: World) -> None:
    world.account.client("iam").create_instance_profile(InstanceProfileName="empty")
    with pytest.raises(RefusedError, match="has no role"):
        machines.template_in_wrong_form(
            world.home, "nodes", template(world, IamInstanceProfile={"Name": "empty"})
        )


@pytest.mark.parametrize(
    ("address", "message"),
    [("10.1.0.10", "is taken"), ("10.1.0.3", "for itself"), ("10.1.16.10", "is not in the subnet")],
)
def test_a_machine_at_an_address_that_it_cannot_have(world: World, address: str, message: str) -> None:
    params = {
        "SubnetId": world.subnets[0],
        "InstanceType": "m3.medium",
        "ImageId": world.image,
        "PrivateIpAddress": address,
    }
    with pytest.raises(RefusedError, match=message):
        machines.machine_in_wrong_form(world.home, params)


def test_a_machine_that_its_zone_does_not_offer(world: World) -> None:
    client = world.account.client("ec2", "sa-east-1")
    vpc = client.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/20", AvailabilityZone="sa-east-1b")
    params = {
        "SubnetId": subnet["Subnet"]["SubnetId"],
        "InstanceType": "m3.medium",
        "ImageId": add_image(world.account, "sa-east-1"),
    }
    with pytest.raises(RefusedError, match=r"m3\.medium is not offered in sa-east-1b"):
        machines.machine_in_wrong_form(Place(world.account, "sa-east-1"), params)


def test_a_disk_out_of_a_machines_reach(world: World) -> None:
    client = world.home.client("ec2")

    def volume(zone: str) -> str:
        made: str = client.create_volume(AvailabilityZone=f"{HOME}{zone}", Size=8)["VolumeId"]
        return made

    with pytest.raises(RefusedError, match="different zones"):
        machines.disk_out_of_reach(world.home, volume("b"), world.machine, "/dev/sdf")
    near = volume("a")
    with pytest.raises(RefusedError, match="does not match"):
        machines.disk_out_of_reach(world.home, near, world.machine, "/dev/data")
    client.attach_volume(VolumeId=near, InstanceId=world.machine, Device="/dev/sdf")
    with pytest.raises(RefusedError, match="is attached already"):
        machines.disk_out_of_reach(world.home, near, world.machine, "/dev/sdg")
    with pytest.raises(RefusedError, match="has a disk /dev/sdf already"):
        machines.disk_out_of_reach(world.home, volume("a"), world.machine, "/dev/sdf")


def test_an_image_in_the_wrong_form(world: World) -> None:
    client = world.home.client("ec2")
    (found,) = client.describe_images(ImageIds=[world.image])["Images"]
    snapshot = client.create_snapshot(
        VolumeId=client.create_volume(AvailabilityZone=f"{HOME}a", Size=8)["VolumeId"]
    )["SnapshotId"]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}
    good = {"Name": "image", "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [disk]}
    machines.image_in_wrong_form(world.home, good)
    for bad, message in (
        ({"Name": found["Name"]}, "has an image"),
        ({"RootDeviceName": "/dev/sda1"}, "no disk of the image"),
        ({"Architecture": "amd64"}, "no architecture"),
        ({"BootMode": "bios"}, "no way to boot"),
        (
            {"BlockDeviceMappings": [{**disk, "Ebs": {"SnapshotId": snapshot, "VolumeSize": 4}}]},
            "smaller than its snapshot",
        ),
    ):
        with pytest.raises(RefusedError, match=message):
            machines.image_in_wrong_form(world.home, {**good, **bad})
