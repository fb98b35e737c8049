"""What the roles share while a lab is set up: the world, the machines, and where their files are."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab.certificates import Certificates
from lab.credentials import Credentials
from lab.files import make_directory
from lab.requirements import SEARCH_PATH, program
from lab.topology import Machine, Topology
from lab.world import World

DataPath = Literal["async", "blocking"]

_ENVIRONMENT: Final = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}

START_TIMEOUT_S: Final = 60.0
"""How long a process may take until it serves."""


@dataclass(frozen=True)
class Site:
    """A lab that is being set up, or runs."""

    world: World
    topology: Topology
    directory: Path
    credentials: Credentials
    certificates: Certificates
    users: int
    data_path: DataPath

    def disk(self, machine: Machine) -> Path:
        """The directory that stands for a machine's disk."""
        return self.directory / "machines" / machine.name

    def log(self, machine: Machine, process: str) -> Path:
        """Where a process writes what it has to say."""
        return make_directory(self.disk(machine) / "log") / f"{process}.log"

    def address(self, machine: str) -> str:
        """The address of a machine."""
        return self.topology.machines[machine].address

    def start(
        self, machine: Machine, process: str, argv: Sequence[str | Path], *, user: str | None = None
    ) -> Process:
        """Starts a process on a machine, with its output in its log."""
        log = self.log(machine, process)
        started = self.world.spawn(
            machine.name, process, [program(str(argv[0])), *argv[1:]], env=_ENVIRONMENT, log=log, user=user
        )
        return Process(machine, process, started, log)


@dataclass(frozen=True)
class Process:
    """A process that was started on a machine."""

    machine: Machine
    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def title(self) -> str:
        """The process and its machine, for people."""
        return f"{self.name} on {self.machine.name}"
