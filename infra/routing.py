"""Which region's node a region's users are sent to."""

from __future__ import annotations

from collections.abc import Mapping

from infra.architecture import Architecture
from infra.geolocation import USERS_IN, answer_for, answers
from infra.regions import REGIONS, RttMatrix


def resolves_to(architecture: Architecture, matrix: RttMatrix) -> Mapping[str, str]:
    """For each region of users, the region of the node that the architecture's records answer with.

    `latency` answers with the node region of the smallest round trip, ties in the order of the stack file;
    `geolocation` with the one of the record for where the users are, whatever the round trips;
    `simple` with the first node region.
    """
    nodes = architecture.nodes.regions
    match architecture.routing.policy:
        case "simple":
            return dict.fromkeys(REGIONS, nodes[0])
        case "geolocation":
            records = answers(architecture)
            return {user: answer_for(USERS_IN[user], records) for user in REGIONS}
        case "latency":
            return {user: min(nodes, key=lambda node: matrix.rtt_ms[user, node]) for user in REGIONS}
