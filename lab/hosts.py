"""The machines of a lab, and what has to be true before a world can be made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from lab import requirements
from lab.errors import MachineError, UnknownNameError, WorldError

NETWORK: Final = IPv4Network("198.18.0.0/15")
"""The hosts' addresses come from here: reserved for benchmarks (RFC 2544), so no real network has them."""

WAN: Final = "wan"
"""The name that the WAN's own namespace has in the place of a host's."""

_LAB_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_HOST_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Host:
    """A machine of the lab: its name, its region, and its IPv4 address within `NETWORK`."""

    name: str
    region: str
    address: str


def check(
    lab: str,
    hosts: Collection[Host],
    rtt_ms: Mapping[tuple[str, str], float],
    jitter_ms: float,
    loss: float,
) -> None:
    """Sees that a world can be made of these.

    Raises:
        UnknownNameError: when a name cannot be used.
        WorldError: when an address is outside `NETWORK` or is used twice, or the matrix lacks a pair.
    """
    check_lab_name(lab)
    for host in hosts:
        if not _HOST_NAME.fullmatch(host.name) or host.name == WAN:
            raise UnknownNameError(
                f"{host.name!r} cannot be a host's name; use a-z, 0-9 and -, and not {WAN!r}"
            )
        try:
            inside = IPv4Address(host.address) in NETWORK
        except AddressValueError:
            inside = False
        if not inside:
            raise WorldError(f"{host.name} has the address {host.address}; choose one within {NETWORK}")
    for what in ("name", "address"):
        values = [getattr(host, what) for host in hosts]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise WorldError(f"two hosts have the {what} {', '.join(twice)}; give each its own")
    regions = sorted({host.region for host in hosts})
    missing = [f"{a} to {b}" for a in regions for b in regions if (a, b) not in rtt_ms]
    if missing:
        raise WorldError(f"the matrix has no round trip for {', '.join(missing)}")
    if min(rtt_ms.values(), default=0) < 0 or jitter_ms < 0 or not 0 <= loss <= 1:
        raise WorldError("round trips and jitter cannot be negative, and loss is between 0 and 1")


def check_lab_name(lab: str) -> None:
    """Raises UnknownNameError when `lab` cannot be a lab's name."""
    if not _LAB_NAME.fullmatch(lab):
        raise UnknownNameError(
            f"{lab!r} cannot be a lab's name; use a-z, 0-9 and -, a letter first, at most 40"
        )


def check_root() -> None:
    """Raises MachineError unless this process may do what labs need."""
    if os.geteuid() != 0:
        raise MachineError(
            "labs need root, for network namespaces, devices and the servers' accounts: "
            "run the same command with sudo"
        )


def check_machine() -> None:
    """Raises MachineError when this machine cannot run a lab, with what it lacks."""
    check_root()
    requirements.check({"ip": "iproute2", "prlimit": "util-linux", "setpriv": "util-linux"})
    if not Path("/etc/resolv.conf").exists():
        raise MachineError(
            "there is no /etc/resolv.conf to put the lab's in front of; create it, empty will do"
        )
