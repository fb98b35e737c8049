"""Where machines write their logs: a group per role in each region that has machines of that role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.flows import Place, Role, places
from infra.site import Site

LOGGED_ROLES: Final[Sequence[Role]] = ("node", "core", "redis", "monitoring", "load")
"""The roles whose machines run our image; an RDS instance keeps its own logs."""


def log_group_name(site: Site, role: Role) -> str:
    """The CloudWatch log group of a role's machines, the same name in every region."""
    return f"/isochrone/{site.architecture.name}/{role}"


def logged_places(site: Site) -> tuple[Place, ...]:
    """The places that have a log group, in the order of the architecture's places."""
    return tuple(place for place in places(site.architecture) if place.role in LOGGED_ROLES)
