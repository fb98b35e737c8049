"""What the machine is: who it is on AWS, and what it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.errors import AmiError
from ami.node.imds import Imds

_MEMORY: Final = Path("/proc/meminfo")


class MachineError(AmiError):
    """The machine does not say what it has."""


@dataclass(frozen=True)
class Machine:
    """What a plan for the machine depends on.

    Args:
        instance_id: its id, asked for at this boot.
        region: where it is.
        address: its private address.
        cores: its logical cores.
        memory_mib: its memory.
    """

    instance_id: str
    region: str
    address: str
    cores: int
    memory_mib: int


def look(imds: Imds, memory: Path = _MEMORY) -> Machine:
    """What this machine is, now.

    Raises:
        MetadataError: when the metadata service does not answer.
        MachineError: when the kernel does not say how much memory there is.
    """
    return Machine(
        imds.instance_id(), imds.region(), imds.address(), os.cpu_count() or 1, memory_mib(memory.read_text())
    )


def memory_mib(meminfo: str) -> int:
    """The memory of `/proc/meminfo`, in MiB.

    Raises:
        MachineError: when it does not say.
    """
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    raise MachineError("/proc/meminfo has no MemTotal; is /proc mounted?")
