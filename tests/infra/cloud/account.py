"""An AWS account on moto: empty when it is opened, with an account's usual quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import boto3
from moto import mock_aws, settings

from infra.regions import REGIONS
from tests.infra.cloud.errors import HarnessError

ACCOUNT_ID: Final = "123456789012"
"""moto's account."""

GLOBAL_REGION: Final = "us-east-1"
"""Where the global services (IAM, Route 53) are asked."""

USUAL_QUOTAS: Final[Mapping[str, float]] = {
    "VPCs per Region": 5,
    "EC2-VPC Elastic IPs": 5,
    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances": 256,  # vCPUs
    "DB instances": 40,
    "Read replicas per primary": 15,
}
"""Quotas per region by their names: as AWS grants them, except vCPUs, of which an account in use has more."""


@cache
def _session() -> Any:
    return boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")


@cache
def client_of(service: str, region: str) -> Any:
    """The boto3 client of a service in a region, of whichever account is open."""
    return _session().client(service, region_name=region)


@dataclass(frozen=True)
class Account:
    """An account; use `open_account` to get one.

    Args:
        quotas: what the account may have per region, by the quota's code.
    """

    quotas: Mapping[str, float] = field(default_factory=lambda: dict(USUAL_QUOTAS))

    def client(self, service: str, region: str = GLOBAL_REGION) -> Any:
        """The boto3 client of a service in a region."""
        return client_of(service, region)


_open: list[Account] = []


@contextmanager
def open_account(quotas: Mapping[str, float] | None = None) -> Iterator[Account]:
    """An empty account, gone at the end.

    Raises:
        HarnessError: when another one is open: moto would let them share everything.
    """
    if _open:
        raise HarnessError("an account is open already; close it first")
    account = Account({**USUAL_QUOTAS, **(quotas or {})})
    with (
        # Without these moto starts machines from any image, of any type, with any key.
        patch.multiple(
            settings,
            ENABLE_AMI_VALIDATION=True,
            EC2_ENABLE_INSTANCE_TYPE_VALIDATION=True,
            ENABLE_KEYPAIR_VALIDATION=True,
        ),
        mock_aws(config={"iam": {"load_aws_managed_policies": True}}),
    ):
        _open.append(account)
        try:
            yield account
        finally:
            _open.clear()


def add_image(account: Account, region: str, **tags: str) -> str:
    """Registers a machine image as the image stack does, and returns its id."""
    ec2 = account.client("ec2", region)
    volume = ec2.create_volume(AvailabilityZone=f"{region}a", Size=8)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.delete_volume(VolumeId=volume)
    image: str = ec2.register_image(
        Name=f"isochrone-{snapshot}",
        Architecture="x86_64",
        VirtualizationType="hvm",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}],
    )["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return image


def add_images(account: Account) -> Mapping[str, str]:
    """A tested image with the tag `current` in every region: what stacks find after `pulumi up -s image`."""
    tags = {"isochrone:image": "current", "isochrone:tested": "true"}
    return {region: add_image(account, region, **tags) for region in REGIONS}
