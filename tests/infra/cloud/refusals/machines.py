"""Machines, disks and images that AWS refuses, and moto takes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from tests.infra.cloud.account import client_of
from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place

_IOPS: Final[Mapping[str, tuple[int, int, int]]] = {
    "gp3": (3_000, 16_000, 500),
    "io1": (100, 64_000, 50),
    "io2": (100, 256_000, 1000),
}
"""Least and most operations per second of a kind of disk, and most per GiB (Amazon EBS user guide)."""

_SIZES: Final = {"gp2": 1, "gp3": 1, "io1": 4, "io2": 4, "st1": 125, "sc1": 125, "standard": 1}
"""Smallest size of each kind of disk, GiB."""

_USER_DATA: Final = 16_384
"""Bytes of user data, before Base64."""


def disk_that_there_is_not(disk: Mapping[str, Any]) -> None:
    """A disk is of a known kind, with a size and operations per second that the kind has."""
    kind, size, iops = disk.get("VolumeType", "gp2"), disk.get("VolumeSize"), disk.get("Iops")
    if kind not in _SIZES:
        raise RefusedError(f"{kind} is no kind of disk")
    if size is None and "SnapshotId" not in disk:
        raise RefusedError("a disk needs a size")
    if size is not None and not _SIZES[kind] <= size <= 16_384:
        raise RefusedError(f"a disk of kind {kind} cannot have {size} GiB")
    if kind in ("io1", "io2") and iops is None:
        raise RefusedError(f"a disk of kind {kind} needs iops")
    if iops is None:
        return
    if kind not in _IOPS:
        raise RefusedError(f"a disk of kind {kind} has no iops of its own")
    least, most, per_gib = _IOPS[kind]
    free = 3_000 if kind == "gp3" else 0
    if not least <= iops <= most or (size is not None and iops > max(per_gib * size, free)):
        raise RefusedError(f"a disk of kind {kind} and {size} GiB cannot have {iops} iops")


def metadata_in_wrong_form(options: Mapping[str, Any]) -> None:
    """The metadata service's options have the values that there are."""
    allowed = {
        "HttpEndpoint": ("enabled", "disabled"),
        "HttpTokens": ("required", "optional"),
        "HttpProtocolIpv6": ("enabled", "disabled"),
        "InstanceMetadataTags": ("enabled", "disabled"),
    }
    for key, values in allowed.items():
        if options.get(key, values[0]) not in values:
            raise RefusedError(f"{key} is {options[key]}")
    if not 1 <= options.get("HttpPutResponseHopLimit", 1) <= 64:
        raise RefusedError("the hop limit is 1 to 64")


def tagged_twice(volume_tags: Mapping[str, str], root_tags: Mapping[str, str]) -> None:
    """An instance's disks get their tags in one way (the provider refuses both)."""
    if volume_tags and root_tags:
        raise RefusedError("volumeTags and the tags of the root disk exclude each other")


def template_in_wrong_form(place: Place, name: str, data: Mapping[str, Any]) -> None:
    """A template's name, user data, groups and parts are what AWS launches machines from."""
    check_text("the template's name", name, r"[A-Za-z0-9().\-/_]{3,125}")
    interfaces = data.get("NetworkInterfaces", [])
    if interfaces and "SecurityGroupIds" in data:
        raise RefusedError("security groups are the template's or its interfaces', not both")
    if "UserData" in data:
        try:
            _check_user_data(len(base64.b64decode(data["UserData"], validate=True)))
        except binascii.Error as error:
            raise RefusedError("the user data of a template is not Base64") from error
    for kind in (tags["ResourceType"] for tags in data.get("TagSpecifications", [])):
        if kind not in ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"):
            raise RefusedError(f"a template tags no {kind}")
    groups = [group for interface in interfaces for group in interface.get("Groups", [])]
    _check_groups(place, [*groups, *data.get("SecurityGroupIds", [])], None)
    _check_type(place, data["InstanceType"], data["ImageId"], ebs_optimized=data.get("EbsOptimized", False))
    _check_profile(place, data)


def machine_in_wrong_form(place: Place, params: Mapping[str, Any]) -> None:
    """An instance's type is offered in its zone, its groups are of its network, its address is free."""
    (subnet,) = place.client("ec2").describe_subnets(SubnetIds=[params["SubnetId"]])["Subnets"]
    _check_user_data(len(params.get("UserData", "").encode()))
    _check_groups(place, params.get("SecurityGroupIds", []), subnet["VpcId"])
    _check_type(
        place, params["InstanceType"], params["ImageId"], ebs_optimized=params.get("EbsOptimized", False)
    )
    _check_profile(place, params)
    if params["InstanceType"] not in _offered(place.region, subnet["AvailabilityZone"]):
        raise RefusedError(f"{params['InstanceType']} is not offered in {subnet['AvailabilityZone']}")
    if "PrivateIpAddress" in params:
        _check_address(place, subnet, IPv4Address(params["PrivateIpAddress"]))


def _check_user_data(size: int) -> None:
    if size > _USER_DATA:
        raise RefusedError(f"user data of {size} bytes is longer than {_USER_DATA}")


def _check_groups(place: Place, groups: list[str], vpc: str | None) -> None:
    found = place.client("ec2").describe_security_groups(GroupIds=groups)["SecurityGroups"] if groups else []
    if len({group["VpcId"] for group in found} | ({vpc} if vpc else set())) > 1:
        raise RefusedError(f"the security groups {', '.join(groups)} are of another network")


def _check_profile(place: Place, params: Mapping[str, Any]) -> None:
    name = params.get("IamInstanceProfile", {}).get("Name")
    if name is None:
        return
    profile = place.client("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    if not profile["Roles"]:
        raise RefusedError(f"the instance profile {name} has no role")


@cache
def _type_info(region: str, type_: str) -> Mapping[str, Any]:
    found = client_of("ec2", region).describe_instance_types(InstanceTypes=[type_])["InstanceTypes"]
    return found[0] if found else {}


def _check_type(place: Place, type_: str, image: str, *, ebs_optimized: bool) -> None:
    info = _type_info(place.region, type_)
    if not info or type_ not in _offered(place.region, None):
        raise RefusedError(f"{type_} is not offered in {place.region}")
    (found,) = place.client("ec2").describe_images(ImageIds=[image])["Images"]
    # moto keeps little of what an image is registered with, and makes up how it boots.
    if found.get("VirtualizationType", "hvm") not in info["SupportedVirtualizationTypes"]:
        raise RefusedError(f"{type_} does not start the image's kind of virtual machine")
    if found.get("Architecture", "x86_64") not in info["ProcessorInfo"]["SupportedArchitectures"]:
        raise RefusedError(f"{type_} is not of the image's architecture")
    if ebs_optimized and info["EbsInfo"]["EbsOptimizedSupport"] == "unsupported":
        raise RefusedError(f"{type_} cannot be optimised for EBS")


@cache
def _offered(region: str, zone: str | None) -> frozenset[str]:
    pages = (
        client_of("ec2", region)
        .get_paginator("describe_instance_type_offerings")
        .paginate(
            LocationType="availability-zone" if zone else "region",
            Filters=[{"Name": "location", "Values": [zone or region]}],
        )
    )
    return frozenset(offer["InstanceType"] for page in pages for offer in page["InstanceTypeOfferings"])


def _check_address(place: Place, subnet: Mapping[str, Any], address: IPv4Address) -> None:
    network = IPv4Network(subnet["CidrBlock"])
    if address not in network:
        raise RefusedError(f"{address} is not in the subnet {network}")
    if address in (*(network[number] for number in range(4)), network[-1]):
        raise RefusedError(f"AWS keeps {address} for itself")
    taken = place.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "subnet-id", "Values": [subnet["SubnetId"]]}]
    )["NetworkInterfaces"]
    if str(address) in {interface.get("PrivateIpAddress") for interface in taken}:
        raise RefusedError(f"{address} is taken")


def disk_out_of_reach(place: Place, volume: str, instance: str, device: str) -> None:
    """A disk is attached to a machine of its own zone, to one only, under a name that is free."""
    ec2 = place.client("ec2")
    (disk,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    (machine,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    if disk["AvailabilityZone"] != machine["Placement"]["AvailabilityZone"]:
        raise RefusedError(f"{volume} and {instance} are in different zones")
    if disk["Attachments"]:
        raise RefusedError(f"{volume} is attached already")
    if device in {mapping["DeviceName"] for mapping in machine["BlockDeviceMappings"]}:
        raise RefusedError(f"{instance} has a disk {device} already")
    check_text("the device's name", device, r"/dev/(sd[f-p][1-6]?|xvd[b-d]?[a-z])")


def image_in_wrong_form(place: Place, params: Mapping[str, Any]) -> None:
    """An image has a name of its own and a root device of one of its disks, of a snapshot in its region."""
    check_text("the image's name", params["Name"], r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
    image_name_taken(place, params["Name"])
    if params.get("Architecture", "x86_64") not in ("x86_64", "arm64", "i386"):
        raise RefusedError(f"{params['Architecture']} is no architecture")
    if params.get("BootMode", "uefi") not in ("legacy-bios", "uefi", "uefi-preferred"):
        raise RefusedError(f"{params['BootMode']} is no way to boot")
    disks = {mapping["DeviceName"]: mapping["Ebs"] for mapping in params["BlockDeviceMappings"]}
    if params.get("RootDeviceName") not in disks:
        raise RefusedError(f"no disk of the image is its root device {params.get('RootDeviceName')}")
    for disk in disks.values():
        (snapshot,) = place.client("ec2").describe_snapshots(SnapshotIds=[disk["SnapshotId"]])["Snapshots"]
        if disk.get("VolumeSize", snapshot["VolumeSize"]) < snapshot["VolumeSize"]:
            raise RefusedError(f"the disk is smaller than its snapshot of {snapshot['VolumeSize']} GiB")


def image_name_taken(place: Place, name: str) -> None:
    """An image's name is the only one of the account in its region."""
    own = place.client("ec2").describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])
    if own["Images"]:
        raise RefusedError(f"{place.region} has an image {name} already")
