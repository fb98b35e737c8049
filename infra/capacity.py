"""How many machines a group has: its bounds at any time, and when a schedule or the expiry changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from typing import Final

from infra.architecture import Architecture

REPLACED_FIRST_PERCENT: Final = 10
"""Percent of a region's nodes, rounded up, that AWS starts before it ends old ones, to replace them all."""

CORE_MACHINES: Final = 2
"""One is active, one stands by."""


@dataclass(frozen=True)
class Capacity:
    """The bounds of a group and the machines it should have now; `desired` None leaves that to scaling."""

    minimum: int
    maximum: int
    desired: int | None


@dataclass(frozen=True)
class ScheduledAction:
    """At a time, a group gets another capacity."""

    name: str
    at: datetime
    capacity: Capacity


NOTHING: Final = Capacity(0, 0, 0)
"""The capacity of a group that has expired."""


def holds_data(architecture: Architecture) -> bool:
    """Whether the node itself keeps Redis or SQL: then a second one would be a market of its own."""
    return "node" in (architecture.redis.placement, architecture.sql.placement)


def most_nodes(architecture: Architecture) -> int:
    """The most nodes that a region's group may be asked for."""
    nodes = architecture.nodes
    return nodes.per_region if holds_data(architecture) else nodes.scaling.maximum


def pool_size(architecture: Architecture) -> int:
    """The public addresses of a region: as many as there are nodes at any time.

    That is the maximum, or the largest number that is planned with the new nodes that come before the old
    ones go: a node without an address does not come up, and the rollout would stop. Scaling may fill the pool
    up to the maximum; then a rollout waits until there are fewer again.
    """
    nodes = architecture.nodes
    most = most_nodes(architecture)
    if holds_data(architecture):
        return most
    planned = max((nodes.per_region, *(schedule.per_region for schedule in nodes.schedules)))
    return max(most, planned + ceil(planned * REPLACED_FIRST_PERCENT / 100))


def initial_nodes(architecture: Architecture, now: datetime) -> Capacity:
    """The capacity with which a region's group of nodes is declared at `now`."""
    capacity = node_capacity(architecture, now)
    if capacity.desired is None:
        return replace(capacity, desired=architecture.nodes.per_region)
    return capacity


def node_capacity(architecture: Architecture, at: datetime) -> Capacity:
    """The capacity of a region's group of nodes at a time; of schedules that overlap, the largest counts."""
    nodes = architecture.nodes
    if _expired(architecture, at):
        return NOTHING
    if holds_data(architecture):
        return Capacity(nodes.per_region, nodes.per_region, nodes.per_region)
    if active := [s.per_region for s in nodes.schedules if s.start <= at < s.end]:
        return Capacity(max(active), most_nodes(architecture), max(active))
    return Capacity(nodes.scaling.minimum, most_nodes(architecture), None)


def core_capacity(architecture: Architecture, at: datetime) -> Capacity:
    """The capacity of the group of core machines at a time."""
    if _expired(architecture, at):
        return NOTHING
    return Capacity(CORE_MACHINES, CORE_MACHINES, CORE_MACHINES)


def node_actions(architecture: Architecture) -> tuple[ScheduledAction, ...]:
    """The changes of a region's group of nodes, in order, one at a time as AWS demands."""
    changes: list[tuple[datetime, str]] = []
    if not holds_data(architecture):
        for schedule in architecture.nodes.schedules:
            changes += [(schedule.start, f"{schedule.name}-start"), (schedule.end, f"{schedule.name}-end")]
    return tuple(_actions(architecture, changes, node_capacity))


def core_actions(architecture: Architecture) -> tuple[ScheduledAction, ...]:
    """The changes of the group of core machines: none before the stack expires."""
    return tuple(_actions(architecture, [], core_capacity))


def load_capacity(architecture: Architecture, at: datetime) -> Capacity:
    """The capacity of a region's group of load machines at a time."""
    if architecture.load is None or _expired(architecture, at):
        return NOTHING
    count = architecture.load.per_region
    return Capacity(count, count, count)


def load_actions(architecture: Architecture) -> tuple[ScheduledAction, ...]:
    """The changes of a region's group of load machines: none before the stack expires."""
    return tuple(_actions(architecture, [], load_capacity))


def _actions(
    architecture: Architecture,
    changes: list[tuple[datetime, str]],
    capacity: Callable[[Architecture, datetime], Capacity],
) -> Iterator[ScheduledAction]:
    names = {at: name for at, name in sorted(changes, reverse=True) if not _expired(architecture, at)}
    if architecture.expiry:
        names[architecture.expiry] = "expiry"
    for at in sorted(names):
        yield ScheduledAction(names[at], at, capacity(architecture, at))


def _expired(architecture: Architecture, at: datetime) -> bool:
    return architecture.expiry is not None and at >= architecture.expiry
