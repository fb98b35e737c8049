"""The names by which the machines of a group know it and what it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.flows import Role
from infra.site import Site

GROUPED: Final[Sequence[Role]] = ("node", "core", "load")
"""The roles whose machines are in an auto scaling group; the others have fixed addresses."""

DRAIN_HOOK: Final = "drain"
"""The lifecycle hook that a machine completes when its users have been told to come back."""

POOL_TAG: Final = "isochrone:pool"
"""The tag by which a booting node finds the addresses of its region's pool."""


def group_name(site: Site, role: Role, region: str) -> str:
    """The name of the auto scaling group of a role's machines in a region."""
    return site.name(role, region)


def pool_name(site: Site, region: str) -> str:
    """The value of `POOL_TAG` on the public addresses of a region's nodes."""
    return group_name(site, "node", region)
