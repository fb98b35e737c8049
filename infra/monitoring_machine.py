"""The private machine with Prometheus at home."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.addresses import MONITORING_HOST
from infra.fixed_machine import FixedMachineArgs, fixed_machine
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
        machine = fixed_machine(
            f"{name}-machine",
            FixedMachineArgs(
                site,
                args.network,
                "monitoring",
                zone=0,
                host=MONITORING_HOST,
                instance_type=architecture.monitoring.instance_type,
                volume=architecture.monitoring.volume,
                image_id=args.image_id,
                profile=args.profile,
                user_data=args.user_data,
                tags=tags,
            ),
            self,
        )
        self.instance_id = machine.id
        self.register_outputs({"instance_id": self.instance_id})
