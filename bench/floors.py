"""What the WAN alone costs a quantity: the least that any implementation of an architecture can reach.

Round trips, not transmission: the emulated WAN has delay and no limit of bandwidth.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Final

from bench.result import ArchitectureResult, RegionFacts

HANDSHAKE_ROUND_TRIPS: Final = 3
"""TCP, TLS 1.3 and the WebSocket upgrade."""


def floor_ms(quantity: str, region: str, regions: Mapping[str, RegionFacts], home: str) -> float | None:
    """The WAN's share of a quantity for the users of a region (ms); None when the facts do not tell.

    A handshake is three round trips to the node; a read one to the node and on to where the node reads; a
    prediction one to the node and on to the home region; a broadcast half of that, from home to the user.
    """
    facts = regions.get(region)
    if facts is None:
        return None
    if quantity == "handshake":
        return HANDSHAKE_ROUND_TRIPS * facts.rtt_to_node_ms
    if quantity == "read" and facts.reads_from == facts.resolves_to:
        return facts.rtt_to_node_ms
    if quantity == "read" and facts.reads_from != home:
        return None
    onward = _node_to_home_ms(facts, regions, home)
    if onward is None:
        return None
    whole = facts.rtt_to_node_ms + onward
    return whole / 2 if quantity == "broadcast" else whole


def _node_to_home_ms(facts: RegionFacts, regions: Mapping[str, RegionFacts], home: str) -> float | None:
    if facts.resolves_to == home:
        return 0.0
    node = regions.get(facts.resolves_to)
    return None if node is None else node.rtt_to_home_ms


def mean_floor_ms(quantity: str, architecture: ArchitectureResult, home: str) -> float | None:
    """The mean of the regions' floors (ms); None when one of them is not known."""
    floors = [floor_ms(quantity, region, architecture.regions, home) for region in architecture.regions]
    known = [floor for floor in floors if floor is not None]
    return fmean(known) if known and len(known) == len(floors) else None


def added_ms(quantity: str, architecture: ArchitectureResult, home: str) -> float | None:
    """How far the regions' medians are above their floors, on average (ms)."""
    latency = architecture.latency_ms.get(quantity)
    if latency is None:
        return None
    above = [
        summary.p50 - floor
        for region, summary in latency.by_region.items()
        if summary.p50 is not None
        and (floor := floor_ms(quantity, region, architecture.regions, home)) is not None
    ]
    return fmean(above) if above else None
