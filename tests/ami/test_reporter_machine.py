"""Cores, memory, file systems, disks and interfaces, as another program sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil
import pytest

from ami.node.reporter.collectors import machine
from ami.node.reporter.collectors.machine import Cpu, Disk, Memory, Network
from ami.node.reporter.figures import Collector, Snapshot


def measured(collector: Collector) -> Snapshot:
    return Snapshot(0, tuple(collector.collect()))


def test_every_core() -> None:
    seconds = measured(Cpu()).series(machine.CPU_SECONDS.name)
    assert {core for core, _ in seconds} == {str(core) for core in range(os.cpu_count() or 0)}
    assert seconds["0", "user"] == pytest.approx(psutil.cpu_times(percpu=True)[0].user, rel=0.05, abs=2)


def test_memory() -> None:
    now, seen = measured(Memory()), psutil.virtual_memory()
    assert now.value(machine.MEMORY_TOTAL) == seen.total
    assert now.value(machine.MEMORY_AVAILABLE) == pytest.approx(seen.available, rel=0.2)
    assert now.value(machine.OPEN_FILES)


def fake_proc(directory: Path, mounts: str) -> Path:
    (directory / "self").mkdir()
    (directory / "self" / "mounts").write_text(mounts)
    (directory / "diskstats").write_text("")
    return directory


def test_each_file_system_on_a_disk_counts_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    proc = fake_proc(
        tmp_path,
        f"/dev/root / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/xvdf {data} xfs rw 0 0\n"
        f"/dev/root {data} ext4 rw 0 0\n",
    )
    used = measured(Disk(proc)).series(machine.FILESYSTEM_USED.name)
    assert used.keys() == {("/",), (str(data),)}
    assert used["/",] == pytest.approx(shutil.disk_usage("/").used, rel=0.05)


def test_interfaces() -> None:
    interfaces = {name for name, _ in measured(Network()).series(machine.NETWORK_BYTES.name)}
    assert interfaces == psutil.net_io_counters(pernic=True).keys() - {"lo"}
