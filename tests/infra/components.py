"""Helps the tests of components: the stack files, and a network that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi

from infra.flows import Role
from infra.network import RegionNetwork
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]


def site(stack: str, **changes: Any) -> Site:
    """A stack's site, with parts of its architecture replaced."""
    return Site(replace(load(stack, ROOT), **changes))


class ReadyNetwork(RegionNetwork):
    """A network that is there already, with three zones and one group for each role."""

    def __init__(self, region: str, *roles: Role) -> None:
        self.region = region
        self.isolated_subnets = _ids(f"{region}-isolated-0", f"{region}-isolated-1", f"{region}-isolated-2")
        self.zones = _ids(f"{region}a", f"{region}b", f"{region}c")
        self.security_groups = {role: pulumi.Output.from_input(f"{region}-{role}") for role in roles}


def _ids(*names: str) -> list[pulumi.Output[str]]:
    return [pulumi.Output.from_input(name) for name in names]
