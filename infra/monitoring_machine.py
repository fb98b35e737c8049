"""The private machine with Prometheus and Grafana at home."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.addresses import MONITORING_HOST
from infra.hardware import ordered_type
from infra.machine_group import root_volume
from infra.metric_names import machine_name
from infra.network import RegionNetwork
from infra.site import Site


@dataclass(frozen=True)
class MonitoringMachineArgs:
    """What the machine is made of.

    Args:
        site: the stack's architecture, names, tags and addresses.
        network: the network at home.
        image_id: the image that it starts from; a newer one does not replace a machine that runs.
        profile: the name of its instance profile.
        user_data: what it is told at boot, plain text without secrets.
    """

    site: Site
    network: RegionNetwork
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Input[str]


class MonitoringMachine(pulumi.ComponentResource):
    """A machine without a public address that scrapes every other; reached through Session Manager only.

    Its measurements are on its root disk: they last as long as the machine.

    Args:
        instance_id: the machine's id, which `aws ssm start-session` asks for.
    """

    instance_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: MonitoringMachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("isochrone:infra:MonitoringMachine", name, None, opts)
        site = args.site
        architecture = site.architecture
        tags = {**site.tags("monitoring", role="monitoring"), "Name": machine_name(site, "monitoring")}
        disk = root_volume(architecture.monitoring.volume, keep=False)
        machine = aws.ec2.Instance(
            f"{name}-machine",
            region=site.home,
            ami=args.image_id,
            instance_type=ordered_type(architecture.hardware, architecture.monitoring.instance_type),
            subnet_id=args.network.isolated_subnets[0],
            # Without a public address, as the subnet gives none.
            private_ip=str(site.addresses[site.home].host(0, MONITORING_HOST)),
            vpc_security_group_ids=[args.network.security_groups["monitoring"]],
            iam_instance_profile=args.profile,
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
                tags=tags,
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["ami"]),
        )
        self.instance_id = machine.id
        self.register_outputs({"instance_id": self.instance_id})
