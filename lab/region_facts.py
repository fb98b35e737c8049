"""Where the users of each region are sent and read, and what the way alone costs them."""

from __future__ import annotations

from bench.result import RegionFacts
from infra.architecture import Architecture
from infra.regions import RttMatrix
from infra.routing import resolves_to


def region_facts(architecture: Architecture, matrix: RttMatrix) -> dict[str, RegionFacts]:
    """The facts of every region of users, under a matrix of round trips."""
    return {
        region: RegionFacts(
            resolves_to=node,
            reads_from=architecture.redis_region(node),
            rtt_to_node_ms=matrix.rtt_ms[region, node],
            rtt_to_home_ms=matrix.rtt_ms[region, architecture.home],
        )
        for region, node in resolves_to(architecture, matrix).items()
    }
