"""A region's WebSocket nodes: the group, its public addresses, and how it grows and shrinks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import pulumi
import pulumi_aws as aws

from infra.capacity import holds_data, initial_nodes, node_actions, pool_size
from infra.group_names import group_name, pool_name
from infra.machine_group import MachineGroup, MachineGroupArgs
from infra.metric_names import CONNECTIONS, GROUP_DIMENSION, NAMESPACE
from infra.network import RegionNetwork
from infra.site import Site

METRIC_S: Final = 60
"""Seconds between two values of a machine's CPU use, with detailed monitoring."""

OUT_VALUES: Final = 2
IN_VALUES: Final = 10
"""How many values in a row lead to a machine more or less: quick to grow, slow to shrink."""


@dataclass(frozen=True)
class NodeGroupArgs:
    """What a region's group of nodes is made of.

    Args:
        site: the stack's architecture, names and addresses.
        network: the network of the region.
        image_id: the image to boot.
        profile: the name of the instance profile.
        user_data: what the nodes are told at boot, as text.
    """

    site: Site
    network: RegionNetwork
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Input[str]


class NodeGroup(pulumi.ComponentResource):
    """The nodes of one region, each with a public address of the pool once it has booted.

    A node that keeps the data itself has no other beside it: such a group is not scaled, and neither a new
    image nor another document replaces its machine, since the next one begins with an empty disk. Whoever
    wants the new image copies the data and then ends the machine. Its volume stays when the machine goes,
    unless the stack file said that nothing is protected when the group was made: what it says later changes
    nothing.
    """

    group_name: pulumi.Output[str]
    group_arn: pulumi.Output[str]
    addresses: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:NodeGroup", name, None, opts)
        self._name = name
        self._site = args.site
        self._region = args.network.region
        self._child = pulumi.ResourceOptions(parent=self)
        architecture = args.site.architecture
        pool = self._pool(pool_size(architecture))
        machines = MachineGroup(
            f"{name}-machines",
            MachineGroupArgs(
                site=args.site,
                network=args.network,
                role="node",
                instance_type=architecture.nodes.instance_type,
                volume=architecture.nodes.volume,
                keep_volume=holds_data(architecture) and architecture.protect,
                capacity=initial_nodes(architecture, datetime.now(UTC)),
                actions=node_actions(architecture),
                least_healthy_percent=None if holds_data(architecture) else 100,
                image_id=args.image_id,
                profile=args.profile,
                user_data=args.user_data,
                # AWS releases no address that a machine still has.
                after=pool,
            ),
            self._child,
        )
        self.group_name = machines.group_name
        self.group_arn = machines.group_arn
        self.addresses = [address.public_ip for address in pool]
        if not holds_data(architecture):
            self._scaling()
        self.register_outputs({"group_name": self.group_name, "addresses": self.addresses})

    def _pool(self, size: int) -> list[aws.ec2.Eip]:
        pool = pool_name(self._site, self._region)
        return [
            aws.ec2.Eip(
                f"{self._name}-{number}",
                region=self._region,
                domain="vpc",
                tags=self._site.tags(f"node-{self._region}-{number}", pool=pool),
                opts=self._child,
            )
            for number in range(size)
        ]

    def _scaling(self) -> None:
        scaling = self._site.architecture.nodes.scaling
        if scaling.policy == "connections":
            self._track_connections()
            return
        self._step("out", 1)
        self._step("in", -1)

    def _policy(self, key: str) -> str:
        return f"{group_name(self._site, 'node', self._region)}-{key}"

    def _policy_opts(self) -> pulumi.ResourceOptions:
        # A moto server leaves the one out and answers the other empty.
        return pulumi.ResourceOptions(
            parent=self, ignore_changes=["enabled", "predictiveScalingConfiguration"]
        )

    def _step(self, direction: Literal["out", "in"], machines: int) -> None:
        scaling = self._site.architecture.nodes.scaling
        policy = aws.autoscaling.Policy(
            f"{self._name}-{direction}",
            region=self._region,
            name=self._policy(direction),
            autoscaling_group_name=self.group_name,
            policy_type="SimpleScaling",
            adjustment_type="ChangeInCapacity",
            scaling_adjustment=machines,
            cooldown=scaling.cooldown_s,
            opts=self._policy_opts(),
        )
        out = direction == "out"
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{direction}",
            region=self._region,
            name=self._policy(f"scale-{direction}"),
            alarm_description=f"The nodes of {self._region} are {'busy' if out else 'idle'}",
            namespace="AWS/EC2",
            metric_name="CPUUtilization",
            dimensions={GROUP_DIMENSION: self.group_name},
            statistic="Average",
            period=METRIC_S,
            evaluation_periods=OUT_VALUES if out else IN_VALUES,
            comparison_operator="GreaterThanOrEqualToThreshold" if out else "LessThanOrEqualToThreshold",
            threshold=scaling.out_cpu_percent if out else scaling.in_cpu_percent,
            treat_missing_data="missing",
            alarm_actions=[policy.arn],
            tags=self._site.tags(f"node-{self._region}-scale-{direction}"),
            opts=self._child,
        )

    def _track_connections(self) -> None:
        scaling = self._site.architecture.nodes.scaling
        metric = aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationArgs(
            namespace=NAMESPACE,
            metric_name=CONNECTIONS.name,
            statistic="Average",
            metric_dimensions=[
                aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricDimensionArgs(
                    name=GROUP_DIMENSION, value=self.group_name
                )
            ],
        )
        aws.autoscaling.Policy(
            f"{self._name}-connections",
            region=self._region,
            name=self._policy("connections"),
            autoscaling_group_name=self.group_name,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=scaling.cooldown_s,
            target_tracking_configuration=aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                target_value=float(scaling.connections_per_node), customized_metric_specification=metric
            ),
            opts=self._policy_opts(),
        )
