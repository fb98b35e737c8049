"""The names by which the machines of a group know it and what it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.architecture import Architecture
from infra.capacity import holds_data
from infra.flows import Role
from infra.site import Site

GROUPED: Final[Sequence[Role]] = ("node", "core", "load")
"""The roles whose machines are in an auto scaling group; the others have fixed addresses."""

DRAIN_HOOK: Final = "drain"
"""The lifecycle hook that a machine completes when its users have been told to come back."""

LAUNCH_HOOK: Final = "launch"
"""The lifecycle hook that a new machine completes as soon as it can serve."""

POOL_TAG: Final = "isochrone:pool"
"""The tag by which a booting node finds the addresses of its region's pool."""


def group_name(site: Site, role: Role, region: str) -> str:
    """The name of the auto scaling group of a role's machines in a region."""
    return site.name(role, region)


def launch_hook(architecture: Architecture, role: Role) -> str | None:
    """The hook that a new machine of a role completes; None where AWS takes it for one that serves at once.

    Nodes and cores have it, whose rollout has to stop at a machine that never comes up. A machine that holds
    data has it not: given up at its launch, it would be launched again and again, each time with a disk more
    that stays. Nor have those of a load fleet, which nobody replaces while they are at work.
    """
    if role == "core" or (role == "node" and not holds_data(architecture)):
        return LAUNCH_HOOK
    return None


def pool_name(site: Site, region: str) -> str:
    """The value of `POOL_TAG` on the public addresses of a region's nodes."""
    return group_name(site, "node", region)
