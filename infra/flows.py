"""Who talks to whom: every connection that an architecture's machines make to one another.

Security rules, peerings and routes are made from this list and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from infra.addresses import Tier
from infra.architecture import Architecture

Role = Literal["node", "core", "redis", "sql", "monitoring", "load"]
"""What a machine is for; `sql` stands for an RDS instance, `load` for a client machine of a benchmark."""

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SQL_PORT: Final = 3306
METRICS_PORT: Final = 9100
"""Where a machine's reporter answers Prometheus, on the private side."""

HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80

TIER_OF: Final[Mapping[Role, Tier]] = {
    "node": "public",
    "core": "public",
    "redis": "isolated",
    "sql": "isolated",
    "monitoring": "isolated",
    "load": "public",
}
"""Nodes are reached from the world, the core and the load reach out to it; no route leads from the others."""


@dataclass(frozen=True, order=True)
class Place:
    """The machines of one role in one region."""

    role: Role
    region: str

    @property
    def tier(self) -> Tier:
        """The tier of subnets that the machines are in."""
        return TIER_OF[self.role]


@dataclass(frozen=True, order=True)
class Flow:
    """TCP connections from one place to a port of another, and what they are for."""

    source: Place
    target: Place
    port: int
    purpose: str

    @property
    def crosses(self) -> bool:
        """Whether it leaves its region."""
        return self.source.region != self.target.region


def places(architecture: Architecture) -> tuple[Place, ...]:
    """Every role and region in which the architecture has machines of its own network."""
    return tuple(dict.fromkeys(_places(architecture)))


def _places(a: Architecture) -> Iterator[Place]:
    for region in a.nodes.regions:
        yield Place("node", region)
    if a.core:
        yield Place("core", a.home)
    if a.redis.placement != "node":
        yield Place("redis", a.home)
    if a.sql.placement != "node":
        yield Place("sql", a.home)
        for region in a.sql_placement.source_of:
            yield Place("sql", region)
    yield Place("monitoring", a.home)
    if a.load:
        for region in a.load.regions:
            yield Place("load", region)


def flows(architecture: Architecture) -> tuple[Flow, ...]:
    """Every connection between machines of the architecture, each once.

    Replication between RDS instances is the provider's own and passes none of our networks.
    """
    return tuple(sorted(set(_flows(architecture))))


def _flows(a: Architecture) -> Iterator[Flow]:
    home_redis = Place("redis", a.home)
    core = Place("core", a.home)
    for region in a.nodes.regions:
        node = Place("node", region)
        if a.redis.placement != "node":
            yield Flow(node, home_redis, REDIS_PORT, "live state: writes and reads and replication")
            if a.redis.standbys:
                yield Flow(node, home_redis, SENTINEL_PORT, "asking which Redis is the master")
        if a.sql.placement != "node":
            reads_from = Place("sql", a.sql_placement.reads_from[region])
            yield Flow(node, reads_from, SQL_PORT, "reads of history")
            if reads_from.region != a.home:
                yield Flow(node, Place("sql", a.home), SQL_PORT, "reads of history that the replica lacks")
    if a.core and a.redis.placement != "node":
        yield Flow(core, home_redis, REDIS_PORT, "draining the journal")
        if a.redis.standbys:
            yield Flow(core, home_redis, SENTINEL_PORT, "asking which Redis is the master")
    if a.core and a.sql.placement != "node":
        yield Flow(core, Place("sql", a.home), SQL_PORT, "writing history and migrations")
    if a.redis.standbys:
        yield Flow(home_redis, home_redis, REDIS_PORT, "replication to the standbys")
        yield Flow(home_redis, home_redis, SENTINEL_PORT, "agreement of the Sentinels")
    monitoring = Place("monitoring", a.home)
    for place in _places(a):
        if place.role in ("node", "core", "redis"):
            yield Flow(monitoring, place, METRICS_PORT, "scraping metrics")


def peerings(architecture: Architecture) -> tuple[tuple[str, str], ...]:
    """The pairs of regions whose networks are joined: those between which there is a flow, each pair once.

    Peering is not transitive, so that a region that reads from another has its own peering with it. Home is
    named first in its pairs.
    """
    home = architecture.home
    pairs = {
        tuple(sorted((f.source.region, f.target.region), key=lambda region: (region != home, region)))
        for f in flows(architecture)
        if f.crosses
    }
    return tuple(sorted((a, b) for a, b in pairs))


def network_regions(architecture: Architecture) -> tuple[str, ...]:
    """The regions that have a network, home first."""
    return tuple(dict.fromkeys((architecture.home, *(place.region for place in places(architecture)))))


def scraped_regions(architecture: Architecture) -> tuple[str, ...]:
    """The regions with machines that are scraped, home first.

    Those of load machines alone are not among them: who lists the machines is not replaced when a load fleet
    comes or goes.
    """
    scraped = {flow.target.region for flow in flows(architecture) if flow.source.role == "monitoring"}
    return tuple(region for region in network_regions(architecture) if region in scraped)
