"""The small machines at home that drain the journal and renew the certificate: one active, one standby."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pulumi

from infra.capacity import core_actions, core_capacity
from infra.errors import InfraError
from infra.machine_group import MachineGroup, MachineGroupArgs
from infra.network import RegionNetwork
from infra.site import Site

_ONE_OF_TWO: Final = 50


class NoCoreError(InfraError):
    """The architecture has no core machines."""


@dataclass(frozen=True)
class CoreGroupArgs:
    """What the group of core machines is made of.

    Args:
        site: the stack's architecture, names and addresses.
        network: the network of the home region. The machines are in its public subnets, since they call the
            certificate authority and Route53; the world cannot open a connection to them.
        image_id: the image to boot.
        profile: the name of the instance profile.
        user_data: what the machines are told at boot, as text.
    """

    site: Site
    network: RegionNetwork
    image_id: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Input[str]


class CoreGroup(pulumi.ComponentResource):
    """Two core machines in different zones."""

    group_name: pulumi.Output[str]

    def __init__(self, name: str, args: CoreGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:CoreGroup", name, None, opts)
        architecture = args.site.architecture
        if architecture.core is None:
            raise NoCoreError("the node does the core's work where data is on it: declare no core group")
        machines = MachineGroup(
            f"{name}-machines",
            MachineGroupArgs(
                site=args.site,
                network=args.network,
                role="core",
                instance_type=architecture.core.instance_type,
                volume=architecture.core.volume,
                keep_volume=False,
                capacity=core_capacity(architecture, datetime.now(UTC)),
                actions=core_actions(architecture),
                least_healthy_percent=_ONE_OF_TWO,
                image_id=args.image_id,
                profile=args.profile,
                user_data=args.user_data,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.group_name = machines.group_name
        self.register_outputs({"group_name": self.group_name})
