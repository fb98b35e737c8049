"""The machine itself: cores, memory, file systems, disks, network interfaces and descriptors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.node.reporter import procfs
from ami.node.reporter.figures import Figure, Metric

CPU_SECONDS: Final = Metric(
    "isochrone_cpu_seconds_total", "counter", "time of a core by mode", ("cpu", "mode")
)
MEMORY_TOTAL: Final = Metric("isochrone_memory_total_bytes", "gauge", "memory of the machine")
MEMORY_AVAILABLE: Final = Metric(
    "isochrone_memory_available_bytes", "gauge", "memory that is free or that the kernel can give back"
)
MEMORY_FREE: Final = Metric("isochrone_memory_free_bytes", "gauge", "memory that nothing uses")
FILESYSTEM_USED: Final = Metric(
    "isochrone_filesystem_used_bytes", "gauge", "space in use on a file system", ("path",)
)
FILESYSTEM_AVAILABLE: Final = Metric(
    "isochrone_filesystem_available_bytes", "gauge", "space left on a file system for its users", ("path",)
)
DISK_READ: Final = Metric("isochrone_disk_read_bytes_total", "counter", "bytes read from a disk", ("disk",))
DISK_WRITTEN: Final = Metric(
    "isochrone_disk_written_bytes_total", "counter", "bytes written to a disk", ("disk",)
)
DISK_READS: Final = Metric("isochrone_disk_reads_total", "counter", "reads that a disk has done", ("disk",))
DISK_WRITES: Final = Metric(
    "isochrone_disk_writes_total", "counter", "writes that a disk has done", ("disk",)
)
DISK_BUSY: Final = Metric(
    "isochrone_disk_busy_seconds_total", "counter", "time in which a disk had work", ("disk",)
)
NETWORK_BYTES: Final = Metric(
    "isochrone_network_bytes_total", "counter", "bytes over an interface", ("interface", "direction")
)
NETWORK_PACKETS: Final = Metric(
    "isochrone_network_packets_total", "counter", "packets over an interface", ("interface", "direction")
)
NETWORK_DROPS: Final = Metric(
    "isochrone_network_drops_total",
    "counter",
    "packets that an interface dropped",
    ("interface", "direction"),
)
INPUT_DROPS: Final = Metric(
    "isochrone_network_input_queue_drops_total",
    "counter",
    "packets dropped since net.core.netdev_max_backlog was reached",
)
OPEN_FILES: Final = Metric("isochrone_open_files", "gauge", "descriptors open in the whole system")
MOST_FILES: Final = Metric("isochrone_open_files_limit", "gauge", "descriptors that the system may have open")

DISK_FILE_SYSTEMS: Final = frozenset(("ext4", "ext3", "ext2", "xfs", "btrfs"))
"""File systems that fill up; those in memory and read-only ones do not."""


@dataclass(frozen=True)
class Cpu:
    """Time of each core by mode."""

    proc: Path = Path("/proc")
    name: str = "cpu"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        for core, modes in procfs.cpu_ticks((self.proc / "stat").read_text()).items():
            for mode, ticks in modes.items():
                yield Figure(CPU_SECONDS, ticks / ticks_per_s, (core, mode))


@dataclass(frozen=True)
class Memory:
    """Memory and descriptors of the whole machine."""

    proc: Path = Path("/proc")
    name: str = "memory"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        sizes = procfs.memory_bytes((self.proc / "meminfo").read_text())
        yield Figure(MEMORY_TOTAL, sizes["MemTotal"])
        yield Figure(MEMORY_AVAILABLE, sizes["MemAvailable"])
        yield Figure(MEMORY_FREE, sizes["MemFree"])
        opened, most = procfs.open_files((self.proc / "sys/fs/file-nr").read_text())
        yield Figure(OPEN_FILES, opened)
        yield Figure(MOST_FILES, most)


@dataclass(frozen=True)
class Disk:
    """Space on the file systems that are on a disk (root and data), and the disks' traffic."""

    proc: Path = Path("/proc")
    name: str = "disk"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        for path in self._file_systems():
            space = os.statvfs(path)
            yield Figure(FILESYSTEM_USED, (space.f_blocks - space.f_bfree) * space.f_frsize, (path,))
            yield Figure(FILESYSTEM_AVAILABLE, space.f_bavail * space.f_frsize, (path,))
        for disk, traffic in procfs.disks((self.proc / "diskstats").read_text()).items():
            yield Figure(DISK_READ, traffic.read_bytes, (disk,))
            yield Figure(DISK_WRITTEN, traffic.written_bytes, (disk,))
            yield Figure(DISK_READS, traffic.reads, (disk,))
            yield Figure(DISK_WRITES, traffic.writes, (disk,))
            yield Figure(DISK_BUSY, traffic.busy_ms / 1000, (disk,))

    def _file_systems(self) -> Iterator[str]:
        """Where each file system is mounted first: a sandboxed process sees some of them several times."""
        seen: set[str] = set()
        for mount in procfs.mounts((self.proc / "self/mounts").read_text()):
            if mount.kind in DISK_FILE_SYSTEMS and mount.device not in seen:
                seen.add(mount.device)
                yield mount.path


@dataclass(frozen=True)
class Network:
    """Traffic of the network interfaces."""

    proc: Path = Path("/proc")
    name: str = "network"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        for interface, t in procfs.interfaces((self.proc / "net/dev").read_text()).items():
            yield Figure(NETWORK_BYTES, t.received_bytes, (interface, "in"))
            yield Figure(NETWORK_BYTES, t.sent_bytes, (interface, "out"))
            yield Figure(NETWORK_PACKETS, t.received_packets, (interface, "in"))
            yield Figure(NETWORK_PACKETS, t.sent_packets, (interface, "out"))
            yield Figure(NETWORK_DROPS, t.received_drops, (interface, "in"))
            yield Figure(NETWORK_DROPS, t.sent_drops, (interface, "out"))
        yield Figure(INPUT_DROPS, procfs.input_drops((self.proc / "net/softnet_stat").read_text()))
