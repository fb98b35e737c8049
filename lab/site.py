"""What the roles share while a lab is set up: the world, the machines, and where their files are."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab import clocks
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
    breakable: bool = False
    """Whether it is prepared for faults: clocks that can be set, a journal on a small disk."""

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
        command: list[str | Path] = [program(str(argv[0])), *argv[1:]]
        if self.breakable and process.startswith(clocks.SETTABLE):
            command = [*clocks.prefix(self.clock(machine, process)), *command]
        started = self.world.spawn(machine.name, process, command, env=_ENVIRONMENT, log=log, user=user)
        return Process(machine, process, started, log, tuple(argv), user)

    def start_again(self, process: Process) -> Process:
        """Starts a process that has ended as it was started before."""
        return self.start(process.machine, process.name, process.argv, user=process.user)

    def clock(self, machine: Machine, process: str) -> Path:
        """The file that a process's clock is set by, when the lab is prepared for faults."""
        return make_directory(self.disk(machine) / "clock") / process


@dataclass(frozen=True)
class Process:
    """A process that was started on a machine."""

    machine: Machine
    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    argv: tuple[str | Path, ...]
    user: str | None

    @property
    def title(self) -> str:
        """The process and its machine, for people."""
        return f"{self.name} on {self.machine.name}"
