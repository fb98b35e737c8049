"""The Redis machines at home: the master, and the standbys that Sentinel may promote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.addresses import REDIS_HOST
from infra.architecture import Volume
from infra.boot import DATA_DEVICE
from infra.errors import InfraError
from infra.fixed_machine import FixedMachineArgs, fixed_machine
from infra.metric_names import machine_name
from infra.network import RegionNetwork
from infra.site import Site

ROOT: Final = Volume(size_gib=20)
"""The root volume of a Redis machine; its data has a volume of its own."""


class NoRedisMachineError(InfraError):
    """The architecture has its Redis on the node."""


@dataclass(frozen=True)
class RedisServersArgs:
    """What the Redis machines are made of.

    Args:
        site: the stack's architecture, names and addresses.
        network: the network at home.
        image_id: the image to boot.
        profile: the name of their instance profile.
        user_data: what each is told at boot, the master first.
    """

    site: Site
    network: RegionNetwork
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: Sequence[pulumi.Input[str]]


class RedisServers(pulumi.ComponentResource):
    """A machine for the master and one for each standby, in zones of their own, at fixed addresses.

    Data is on an encrypted volume of its own, which outlives the machine and is attached to the next one.

    Args:
        instance_ids: of the machines, the master's first.

    Raises:
        NoRedisMachineError: when the architecture has none.
    """

    instance_ids: Sequence[pulumi.Output[str]]

    def __init__(self, name: str, args: RedisServersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:RedisServers", name, None, opts)
        self.instance_ids = [self._server(name, args, index) for index in range(len(args.user_data))]
        self.register_outputs({"instance_ids": self.instance_ids})

    def _server(self, name: str, args: RedisServersArgs, index: int) -> pulumi.Output[str]:
        site = args.site
        redis = site.architecture.redis
        if redis.instance_type is None or redis.volume is None:
            raise NoRedisMachineError("Redis is on the node: there is no machine to declare")
        tags = {
            **site.tags(f"redis-{index}", role="redis"),
            "Name": machine_name(site, "redis", index),
        }
        machine = fixed_machine(
            f"{name}-{index}",
            FixedMachineArgs(
                site,
                args.network,
                "redis",
                zone=index,
                host=REDIS_HOST,
                instance_type=redis.instance_type,
                volume=ROOT,
                image_id=args.image_id,
                profile=args.profile,
                user_data=args.user_data[index],
                tags=tags,
            ),
            self,
        )
        data = aws.ebs.Volume(
            f"{name}-{index}-data",
            region=site.home,
            availability_zone=args.network.zones[index],
            size=redis.volume.size_gib,
            type="io1" if redis.volume.iops else "gp3",
            iops=redis.volume.iops,
            encrypted=True,
            tags={**tags, "Name": f"{tags['Name']}-data"},
            opts=pulumi.ResourceOptions(
                parent=self, protect=site.architecture.protect, ignore_changes=["availabilityZone"]
            ),
        )
        aws.ec2.VolumeAttachment(
            f"{name}-{index}-data",
            region=site.home,
            device_name=DATA_DEVICE,
            instance_id=machine.id,
            volume_id=data.id,
            stop_instance_before_detaching=True,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return machine.id
