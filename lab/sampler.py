"""What each machine of a lab uses, read once a second from /proc: CPU, memory, disk and network.

A machine is a network namespace: every process in it is the machine's. Memory is what its processes hold
privately (RssAnon and RssShmem), since shared libraries would count once per process; disk is what lies in
the machine's directory; the network counters are those of its one device.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.windows import MachineSample
from lab import namespaces

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_DISK_EVERY: Final = 5
"""Disk is walked once in so many samples: it changes slowly and walking costs."""


@dataclass(frozen=True)
class Watched:
    """A machine to watch: its role, its namespace, its device and the directory that is its disk."""

    machine: str
    role: str
    namespace: str
    device: str
    directory: Path


@dataclass
class _Usage:
    cpu_s: float = 0.0
    disk_mib: float = 0.0
    network: tuple[int, int] = (0, 0)
    cpu_by_pid: dict[int, float] = field(default_factory=dict)


class Sampler:
    """Samples machines in a thread of its own while it is entered as a context; `samples` has the result."""

    def __init__(
        self, machines: list[Watched], *, period_s: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.samples: list[MachineSample] = []
        self._machines = machines
        self._usage = {watched.machine: _Usage() for watched in machines}
        self._period_s = period_s
        self._clock = clock
        self._rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self.sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sample()

    def sample(self) -> None:
        """Take one sample of every machine."""
        now = self._clock()
        pids: dict[str, list[int]] = {}
        for pid, namespace in namespaces.processes(watched.namespace for watched in self._machines).items():
            pids.setdefault(namespace, []).append(pid)
        for watched in self._machines:
            usage = self._usage[watched.machine]
            memory_mib = self._read_processes(usage, pids.get(watched.namespace, []), watched.device)
            if self._rounds % _DISK_EVERY == 0:
                usage.disk_mib = disk_mib(watched.directory)
            self.samples.append(
                MachineSample(
                    now,
                    watched.machine,
                    watched.role,
                    usage.cpu_s,
                    memory_mib,
                    usage.disk_mib,
                    *usage.network,
                )
            )
        self._rounds += 1

    def _read_processes(self, usage: _Usage, pids: list[int], device: str) -> float:
        memory_mib = 0.0
        cpu_by_pid: dict[int, float] = {}
        network: tuple[int, int] | None = None
        for pid in pids:
            try:
                cpu_by_pid[pid] = cpu_s = process_cpu_s(pid)
                memory_mib += process_memory_mib(pid)
                network = network or network_bytes(pid, device)
            except (FileNotFoundError, ProcessLookupError):
                continue
            usage.cpu_s += max(0.0, cpu_s - usage.cpu_by_pid.get(pid, 0.0))
        usage.cpu_by_pid = cpu_by_pid
        usage.network = network or usage.network
        return memory_mib

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            due += self._period_s
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self.sample()


def process_cpu_s(pid: int) -> float:
    """The CPU seconds of a process, user and system, with those of the children that it has waited for."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def process_memory_mib(pid: int) -> float:
    """The memory that a process holds privately (RssAnon and RssShmem)."""
    kib = 0
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("RssAnon:", "RssShmem:")):
            kib += int(line.split()[1])
    return kib / 1024


def network_bytes(pid: int, device: str) -> tuple[int, int] | None:
    """The bytes received and sent by a device of the process's namespace, or None when it has none such."""
    for line in Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == device:
            values = counters.split()
            return int(values[0]), int(values[8])
    return None


def disk_mib(directory: Path) -> float:
    """The space that the files below a directory take."""
    return sum(_blocks(directory)) * 512 / 2**20


def _blocks(directory: Path) -> Iterator[int]:
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _blocks(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False).st_blocks
        except FileNotFoundError:
            continue
