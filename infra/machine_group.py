"""A group of equal machines that AWS keeps at a number: its launch template, its hook and its schedule."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from infra.architecture import Volume
from infra.capacity import REPLACED_FIRST_PERCENT, Capacity, ScheduledAction
from infra.flows import Role
from infra.group_names import DRAIN_HOOK, group_name, launch_hook
from infra.hardware import ordered_type
from infra.network import RegionNetwork
from infra.site import Site
from infra.volumes import GP3_LEAST_IOPS, root_volume_kind

ROOT_DEVICE: Final = "/dev/xvda"
"""The name of the root device of a Debian image."""

DRAIN_S: Final = 300
"""Seconds that a machine has to drain."""

LAUNCH_S: Final = 900
"""Seconds from its launch in which a new machine has to be able to serve, where it has to say so.

Until then it may wait for an address (two minutes), or for a secret or a server that comes back.
"""

BOOT_S: Final = 300
"""Seconds that a machine is spared once AWS takes it for one that serves.

So long AWS does not look at its health, and a rollout does not end the next old one. A machine that said
that it can serve has its first users by then: Route53 sees it after half a minute and clients ask again
after the answers' lifetime. One that is not asked boots meanwhile.
"""

_GONE_S: Final = LAUNCH_S + DRAIN_S + 600
"""Seconds that a group may take to go: a machine that comes up as it begins, its drain, and its end on AWS.

The provider's own is 600 (`internal/service/autoscaling/group.go`), of which a drain alone may take half.
"""

_WHILE_REPLACED: Final = 100 + REPLACED_FIRST_PERCENT
"""Percent of a group's machines that there may be while they are replaced: one more in a small group."""


@dataclass(frozen=True)
class MachineGroupArgs:
    """What a group of machines is made of.

    Args:
        site: the stack's architecture, names and addresses.
        network: the network of its region; the machines are in its public subnets, in all zones.
        role: what the machines are for.
        instance_type: as the stack file names it.
        volume: the root volume.
        keep_volume: whether it outlives its machine.
        capacity: the bounds, and the number to begin with.
        actions: when that changes; those that have passed are left out, with a warning.
        least_healthy_percent: how many of the machines serve while they are replaced by those of a changed
            template, as of a new image. With 100 a new machine comes first, else an old one goes first. None
            when a changed template replaces none of them.
        image_id: the image to boot.
        profile: the name of the instance profile.
        user_data: what the machines are told at boot, as text.
        after: what has to be there before the group, and is deleted after it.
    """

    site: Site
    network: RegionNetwork
    role: Role
    instance_type: str
    volume: Volume
    keep_volume: bool
    capacity: Capacity
    actions: Sequence[ScheduledAction]
    least_healthy_percent: int | None
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()


class MachineGroup(pulumi.ComponentResource):
    """Machines from one template, replaced when they fail or the template changes, drained before they go.

    A new machine counts, and a rollout goes on, once the machine itself has said that it can serve, by
    completing a hook (`infra.group_names.launch_hook`); one that does not in `LAUNCH_S` is ended, and another
    one tried. So a template with which no machine comes up ends in a rollout that fails beside the old
    machines, which go on. The hook is made after the group, so that the first machines mostly do without it:
    there is nothing yet that they could spare.

    The hooks go with the group and not before it, as they would by depending on it: a machine that goes with
    its group drains as well.

    Where a changed template replaces none, as those machines hold data, it is only what the next machine
    starts from, and there is a next one when somebody ends the machine or AWS finds it broken.
    """

    group_name: pulumi.Output[str]
    group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: MachineGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:MachineGroup", name, None, opts)
        self._name = name
        self._args = args
        self._region = args.network.region
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = args.site.tags(f"{args.role}-{self._region}", role=args.role)
        group = self._group(self._template())
        self.group_name = group.name
        self.group_arn = group.arn
        self._hook(group, "drain", DRAIN_HOOK, "TERMINATING", DRAIN_S, otherwise="CONTINUE")
        if name_of_hook := launch_hook(args.site.architecture, args.role):
            self._hook(group, "launch", name_of_hook, "LAUNCHING", LAUNCH_S, otherwise="ABANDON")
        self._schedule()
        self.register_outputs({"group_name": self.group_name})

    def _template(self) -> aws.ec2.LaunchTemplate:
        args = self._args
        # The template has no tags of its own: a moto server gives them back as tags of what it launches, so
        # that the next `pulumi up` would find a change.
        return aws.ec2.LaunchTemplate(
            f"{self._name}-template",
            region=self._region,
            name=group_name(args.site, args.role, self._region),
            image_id=args.image_id,
            instance_type=ordered_type(args.site.architecture.hardware, args.instance_type),
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=args.profile),
            user_data=pulumi.Output.from_input(args.user_data).apply(_base64),
            update_default_version=True,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                http_protocol_ipv6="disabled",
                instance_metadata_tags="enabled",
            ),
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=ROOT_DEVICE, ebs=root_volume(args.volume, keep=args.keep_volume)
                )
            ],
            network_interfaces=[
                aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0,
                    associate_public_ip_address="true",
                    delete_on_termination="true",
                    security_groups=[args.network.security_groups[args.role]],
                )
            ],
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=launched, tags=self._tags)
                for launched in ("instance", "volume", "network-interface")
            ],
            # A disk is kept or not as its machine was made: to protect a stack changes no template.
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=["blockDeviceMappings[0].ebs.deleteOnTermination"]
            ),
        )

    def _group(self, template: aws.ec2.LaunchTemplate) -> aws.autoscaling.Group:
        args = self._args
        return aws.autoscaling.Group(
            f"{self._name}-group",
            region=self._region,
            name=group_name(args.site, args.role, self._region),
            vpc_zone_identifiers=args.network.public_subnets,
            min_size=args.capacity.minimum,
            max_size=args.capacity.maximum,
            desired_capacity=args.capacity.desired,
            launch_template=aws.autoscaling.GroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            health_check_type="EC2",
            health_check_grace_period=BOOT_S,
            instance_refresh=_refresh(args.least_healthy_percent),
            # A stack is up when it is declared; its machines report themselves.
            wait_for_capacity_timeout="0",
            # Not forced: the addresses and the network can go only when the machines have gone.
            force_delete=False,
            enabled_metrics=[
                aws.autoscaling.Metric.GROUP_DESIRED_CAPACITY,
                aws.autoscaling.Metric.GROUP_IN_SERVICE_INSTANCES,
                aws.autoscaling.Metric.GROUP_TERMINATING_INSTANCES,
            ],
            metrics_granularity="1Minute",
            tags=_group_tags(self._tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                ignore_changes=["desiredCapacity"],
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{_GONE_S}s"),
            ),
        )

    def _hook(
        self,
        group: aws.autoscaling.Group,
        key: str,
        name: str,
        transition: Literal["LAUNCHING", "TERMINATING"],
        seconds: int,
        *,
        otherwise: Literal["ABANDON", "CONTINUE"],
    ) -> None:
        aws.autoscaling.LifecycleHook(
            f"{self._name}-{key}",
            region=self._region,
            name=name,
            autoscaling_group_name=group.name,
            lifecycle_transition=f"autoscaling:EC2_INSTANCE_{transition}",
            heartbeat_timeout=seconds,
            default_result=otherwise,
            # The machine itself completes it. A moto server makes up somebody to notify.
            opts=pulumi.ResourceOptions(
                parent=self, ignore_changes=["notificationTargetArn", "roleArn"], deleted_with=group
            ),
        )

    def _schedule(self) -> None:
        args = self._args
        now = datetime.now(UTC)
        for action in args.actions:
            if action.at <= now:
                pulumi.log.warn(f"{action.name} of {action.at.isoformat()} has passed: it is left out", self)
                continue
            aws.autoscaling.Schedule(
                f"{self._name}-{action.name}",
                region=self._region,
                autoscaling_group_name=self.group_name,
                scheduled_action_name=f"{group_name(args.site, args.role, self._region)}-{action.name}",
                start_time=action.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                min_size=action.capacity.minimum,
                max_size=action.capacity.maximum,
                desired_capacity=-1 if action.capacity.desired is None else action.capacity.desired,
                opts=self._child,
            )


def _refresh(least_healthy_percent: int | None) -> aws.autoscaling.GroupInstanceRefreshArgs | None:
    if least_healthy_percent is None:
        return None
    return aws.autoscaling.GroupInstanceRefreshArgs(
        strategy="Rolling",
        preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
            min_healthy_percentage=least_healthy_percent,
            max_healthy_percentage=_WHILE_REPLACED if least_healthy_percent == 100 else 100,
            instance_warmup=str(BOOT_S),
            skip_matching=True,
        ),
    )


def root_volume(volume: Volume, *, keep: bool) -> aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs:
    """The root volume of a launch template: always encrypted."""
    iops = volume.iops and max(volume.iops, GP3_LEAST_IOPS)
    return aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
        volume_type=root_volume_kind(iops),
        volume_size=volume.size_gib,
        iops=iops,
        encrypted="true",
        delete_on_termination="false" if keep else "true",
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _group_tags(tags: Mapping[str, str]) -> list[aws.autoscaling.GroupTagArgs]:
    return [
        aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
        for key, value in tags.items()
    ]
