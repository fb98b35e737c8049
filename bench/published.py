"""What the thesis published: another machine, another load, another year.

Source: Harezlak, "Geographically-aware scaling for real-time persistent websocket applications", master's
thesis, Universiteit van Amsterdam, 2015, chapter 6. On Amazon's cloud, 24,000 users, an hour's cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SOURCE: Final = (
    "Harezlak, Geographically-aware scaling for real-time persistent websocket applications, "
    "Universiteit van Amsterdam, 2015"
)

USERS: Final = 24_000

COLLAPSE: Final = (
    "Its two distributed versions collapsed: with some 100 ms to the database, every blocking database call "
    "stopped the whole API process, requests queued behind one another, and latency rose to minutes."
)


@dataclass(frozen=True)
class PublishedLatency:
    """Mean, 98th percentile and maximum in milliseconds; None where the thesis prints none."""

    mean: float
    p98: float
    max: float | None


@dataclass(frozen=True)
class PublishedRun:
    """One architecture as the thesis measured it: cost in dollars per hour, meters as their averages."""

    connected: int
    requests: int
    handshake: PublishedLatency
    request: PublishedLatency
    broadcast: PublishedLatency
    cost_per_hour: float
    spm: float
    sec: float


RUNS: Final[Mapping[str, PublishedRun]] = {
    "baseline": PublishedRun(
        connected=23_999,
        requests=8_449_173,
        handshake=PublishedLatency(671, 4_152, 15_806),
        request=PublishedLatency(291, 2_631, 46_019),
        broadcast=PublishedLatency(302, 905, 17_935),
        cost_per_hour=2.486,
        spm=1632.18,
        sec=406_878,
    ),
    "geo-i": PublishedRun(
        connected=13_023,
        requests=589_923,
        handshake=PublishedLatency(1_549_675, 6_853_492, 7_412_795),
        request=PublishedLatency(90_987, 3_715_669, 3_878_655),
        broadcast=PublishedLatency(293, 1_219, 11_697),
        cost_per_hour=6.864,
        spm=359.07,
        sec=11_350,
    ),
    "geo-ii": PublishedRun(
        connected=15_767,
        requests=796_660,
        handshake=PublishedLatency(82_595, 2_383_959, 2_664_879),
        request=PublishedLatency(733_047, 5_511_145, None),
        broadcast=PublishedLatency(141, 252, 5_667),
        cost_per_hour=6.658,
        spm=258.70,
        sec=9_976,
    ),
}
