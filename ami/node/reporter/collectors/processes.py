"""The processes of the machine's role: memory, descriptors and processor time of each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from ami.node.reporter import procfs
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.role_processes import List, RoleProcess, list_processes

_LABELS: Final = ("service", "process", "pid")

MEMORY: Final = Metric("isochrone_process_memory_bytes", "gauge", "resident memory of a process", _LABELS)
DESCRIPTORS: Final = Metric("isochrone_process_descriptors", "gauge", "descriptors of a process", _LABELS)
DESCRIPTOR_LIMIT: Final = Metric(
    "isochrone_process_descriptors_limit", "gauge", "descriptors that a process may have", _LABELS
)
CPU_SECONDS: Final = Metric(
    "isochrone_process_cpu_seconds_total", "counter", "processor time of a process", _LABELS
)


@dataclass(frozen=True)
class Processes:
    """What each process of the role uses; one that ends meanwhile is left out."""

    processes: List = list_processes
    proc: Path = Path("/proc")
    name: str = "processes"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        denied: list[str] = []
        for each in self.processes():
            labels = (each.identity.service, each.identity.process, str(each.pid))
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                process = psutil.Process(each.pid)
                times = process.cpu_times()
                yield Figure(MEMORY, process.memory_info().rss, labels)
                yield Figure(CPU_SECONDS, times.user + times.system, labels)
                limit = descriptor_limit(self.proc, each)
                if limit is not None:
                    yield Figure(DESCRIPTOR_LIMIT, limit, labels)
                try:
                    yield Figure(DESCRIPTORS, process.num_fds(), labels)
                except psutil.AccessDenied:
                    denied.append(each.identity.process)
        if denied:
            names = ", ".join(sorted(set(denied)))
            raise MeasuringError(
                f"may not count the descriptors of {names}: give the reporter CAP_DAC_READ_SEARCH"
                " and CAP_SYS_PTRACE"
            )


def descriptor_limit(proc: Path, process: RoleProcess) -> int | None:
    """How many descriptors a process may have, None when there is no limit.

    Raises:
        OSError: when the process has ended.
    """
    return procfs.descriptor_limit((proc / str(process.pid) / "limits").read_text())
