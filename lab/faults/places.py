"""Where a fault strikes in an architecture, and whose users it concerns."""

from __future__ import annotations

from typing import Final

from lab.errors import UnknownNameError
from lab.faults.actions import CutOff, Fault, Kill, LoseMaster, Part, Place, SkewClock, Stop
from lab.topology import Machine, Topology

FAR: Final = "ap-southeast-2"
"""Sydney: the region in which what is far from home is struck; its SQL reads go to yet another region."""


def find(topology: Topology, place: Place) -> Machine | None:
    """The machine at a place, None when the architecture has none there."""
    machines = topology.machines
    far = machines[f"node-{topology.resolves_to[FAR]}"]
    read = machines[far.api.sql_read] if far.api else None
    places: dict[Place, Machine | None] = {
        "far node": far,
        "home node": machines.get(f"node-{topology.home}"),
        "home machine": topology.home_machine,
        "redis master": topology.redis_master,
        "redis replica": far if far.redis and far.redis.replica_of else None,
        "sql master": topology.sql_master,
        "sql replica": read if read and read.sql and read.sql.replica_of else None,
    }
    return places[place]


def machine(topology: Topology, place: Place) -> Machine:
    """The machine at a place.

    Raises:
        UnknownNameError: when the architecture has none there.
    """
    found = find(topology, place)
    if found is None:
        raise UnknownNameError(f"the architecture has no {place}")
    return found


def applies(fault: Fault, topology: Topology) -> bool:
    """Whether the architecture has what the fault strikes; one region cannot be cut off from itself."""
    action = fault.action
    if isinstance(action, CutOff):
        return len({m.region for m in topology.machines.values() if m.role != "users"}) > 1
    if isinstance(action, LoseMaster | Part):
        return bool(topology.sentinels)
    if isinstance(action, Kill | Stop | SkewClock):
        return find(topology, action.place) is not None
    return True


def concerned(fault: Fault, topology: Topology) -> tuple[str, ...]:
    """The regions whose users have to be served again for the fault to be over."""
    everywhere = tuple(topology.resolves_to)
    if not isinstance(fault.action, Kill | Stop | CutOff | SkewClock):
        return everywhere
    struck = machine(topology, fault.action.place)
    if struck.role != "node" or struck.region == topology.home:
        return everywhere
    return tuple(region for region, node in topology.resolves_to.items() if node == struck.region)
