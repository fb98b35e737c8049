"""The client machines of a benchmark in the regions of its users, and the bucket for what they measure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.capacity import load_actions, load_capacity
from infra.errors import InfraError
from infra.load_names import JOBS, bucket_name
from infra.machine_group import MachineGroup, MachineGroupArgs
from infra.network import RegionNetwork
from infra.site import Site

TOKENS_DAYS: Final = 1
"""How long jobs are kept, in which the tokens of made-up users are; the least that S3 knows."""


class NoLoadError(InfraError):
    """The architecture has no load fleet."""


@dataclass(frozen=True)
class LoadFleetArgs:
    """What the fleet is made of.

    Args:
        site: the stack's architecture, names and addresses.
        networks: the networks of its regions.
        image_ids: the image to boot in each of them.
        profile: the name of the instance profile.
        user_data: what the machines of each region are told at boot, as text.
    """

    site: Site
    networks: Mapping[str, RegionNetwork]
    image_ids: Mapping[str, pulumi.Input[str]]
    profile: pulumi.Input[str]
    user_data: Mapping[str, pulumi.Input[str]]


class LoadFleet(pulumi.ComponentResource):
    """A group of machines in each region, to which nobody can open a connection, and a private bucket.

    They are told what to do through Systems Manager. The bucket goes with the stack, and what is in it too,
    unless the stack file has data protected: then a bucket that holds something stays.

    Args:
        bucket: the bucket's name.
        group_names: the auto scaling group of each region.

    Raises:
        NoLoadError: when the architecture has none.
    """

    bucket: pulumi.Output[str]
    group_names: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: LoadFleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:LoadFleet", name, None, opts)
        self._name = name
        self._site = args.site
        load = args.site.architecture.load
        if load is None:
            raise NoLoadError("the stack has no load fleet: set isochrone:load")
        self.bucket = self._bucket(load.keep_days)
        self.group_names = {
            region: MachineGroup(
                f"{name}-{region}",
                MachineGroupArgs(
                    site=args.site,
                    network=args.networks[region],
                    role="load",
                    instance_type=load.instance_type,
                    volume=load.volume,
                    keep_volume=False,
                    capacity=load_capacity(args.site.architecture, datetime.now(UTC)),
                    actions=load_actions(args.site.architecture),
                    least_healthy_percent=0,
                    image_id=args.image_ids[region],
                    profile=args.profile,
                    user_data=args.user_data[region],
                ),
                pulumi.ResourceOptions(parent=self),
            ).group_name
            for region in load.regions
        }
        self.register_outputs({"bucket": self.bucket, "group_names": self.group_names})

    def _bucket(self, keep_days: int) -> pulumi.Output[str]:
        site = self._site
        child = pulumi.ResourceOptions(parent=self)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        bucket = aws.s3.Bucket(
            f"{self._name}-bucket",
            region=site.home,
            bucket=account.apply(lambda number: bucket_name(site, number)),
            force_destroy=not site.architecture.protect,
            tags=site.tags("load"),
            opts=child,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{self._name}-bucket",
            region=site.home,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{self._name}-bucket",
            region=site.home,
            bucket=bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        by_default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256"
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-bucket",
            region=site.home,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=by_default
                )
            ],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-bucket",
            region=site.home,
            bucket=bucket.bucket,
            rules=[_expiry("jobs", JOBS, TOKENS_DAYS), _expiry("everything", "", keep_days)],
            opts=child,
        )
        aws.s3.BucketPolicy(
            f"{self._name}-bucket",
            region=site.home,
            bucket=bucket.bucket,
            policy=bucket.arn.apply(lambda arn: json.dumps(bucket_policy(arn), separators=(",", ":"))),
            # S3 changes one of these of a bucket at a time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        return bucket.bucket


def bucket_policy(arn: str) -> Mapping[str, Any]:
    """Nobody comes to the bucket without TLS; who may come is said by their own policies."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _expiry(name: str, prefix: str, days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id=name,
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
        abort_incomplete_multipart_upload=(
            aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(days_after_initiation=1)
        ),
    )
