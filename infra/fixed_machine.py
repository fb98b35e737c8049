"""A machine at an address that never changes, in an isolated subnet and without a public address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.architecture import Volume
from infra.flows import Role
from infra.hardware import ordered_type
from infra.machine_group import root_volume
from infra.network import RegionNetwork
from infra.site import Site


@dataclass(frozen=True)
class FixedMachineArgs:
    """What such a machine is made of.

    Args:
        site: the stack's architecture, names and addresses.
        network: the network at home.
        role: what the machine is for.
        zone: which of the zones it is in, counted from 0.
        host: its host number in the isolated subnet there.
        instance_type: as the stack file names it.
        volume: its root volume.
        image_id: the image to boot.
        profile: the name of its instance profile.
        user_data: what it is told at boot, as text.
        tags: its tags, and those of its root volume.
    """

    site: Site
    network: RegionNetwork
    role: Role
    zone: int
    host: int
    instance_type: str
    volume: Volume
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Input[str]
    tags: Mapping[str, str]


def fixed_machine(name: str, args: FixedMachineArgs, parent: pulumi.Resource) -> aws.ec2.Instance:
    """Declares the machine.

    A newer image does not replace it, since what it holds would be away meanwhile: to roll it, run
    `pulumi up --replace` with its URN at a quiet hour. The old one goes first: the address is its own.
    """
    site = args.site
    disk = root_volume(args.volume, keep=False)
    return aws.ec2.Instance(
        name,
        region=site.home,
        ami=args.image_id,
        instance_type=ordered_type(site.architecture.hardware, args.instance_type),
        subnet_id=args.network.isolated_subnets[args.zone],
        # Without a public address, as the subnet gives none.
        private_ip=str(site.addresses[site.home].host(args.zone, args.host)),
        vpc_security_group_ids=[args.network.security_groups[args.role]],
        iam_instance_profile=args.profile,
        # Without detailed monitoring: its reporter tells processor and network every minute, for less.
        user_data=args.user_data,
        metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
            encrypted=True,
            volume_type=disk.volume_type,
            volume_size=disk.volume_size,
            iops=disk.iops,
            delete_on_termination=True,
            tags=dict(args.tags),
        ),
        tags=dict(args.tags),
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["ami"], delete_before_replace=True),
    )
