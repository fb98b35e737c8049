"""What all components of one stack share: its architecture, its names, tags and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from infra import addresses, flows
from infra.addresses import RegionAddresses
from infra.architecture import Architecture


@dataclass(frozen=True)
class Site:
    """One architecture as it is declared on AWS."""

    architecture: Architecture

    @property
    def home(self) -> str:
        """The region of the writes."""
        return self.architecture.home

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The regions that have a network, home first."""
        return flows.network_regions(self.architecture)

    @cached_property
    def addresses(self) -> Mapping[str, RegionAddresses]:
        """The address plan of those regions."""
        return addresses.plan({region: self.architecture.zones_in(region) for region in self.regions})

    def name(self, *parts: str) -> str:
        """A physical name on AWS, of letters, digits and hyphens: `isochrone-STACK-PART-...`."""
        return "-".join(("isochrone", self.architecture.name, *parts))

    def tags(self, name: str, **more: str) -> dict[str, str]:
        """The tags of a resource: what it is, whose it is, and what made it."""
        return {
            "Name": self.name(name),
            "isochrone:stack": self.architecture.name,
            "isochrone:managed-by": "pulumi",
            **{f"isochrone:{key.replace('_', '-')}": value for key, value in more.items()},
        }

    @property
    def play_name(self) -> str:
        """The name that users connect to."""
        return f"play.{self.architecture.domain}"

    def regional_name(self, region: str) -> str:
        """The name that answers with the addresses of one region's nodes."""
        return f"{region}.{self.play_name}"
