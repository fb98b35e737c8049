"""The texts of /proc as values. Everything here is pure; what is no such text raises `ValueError`.

The formats are those of proc(5) and of the kernel's Documentation/filesystems/proc.rst and
Documentation/admin-guide/iostats.rst.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

CPU_MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""How a core spends its time; guests' time, which stands behind these, is in `user` and `nice` already."""

SECTOR_BYTES: Final = 512
"""A sector of /proc/diskstats, whatever the device's own size is."""

_WHOLE_DISK: Final = re.compile(r"(nvme\d+n\d+|xvd[a-z]+|sd[a-z]+|vd[a-z]+)\Z")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Traffic:
    """What went through a network interface since it is there; drops are those of its driver and queue."""

    received_bytes: int
    received_packets: int
    received_drops: int
    sent_bytes: int
    sent_packets: int
    sent_drops: int


@dataclass(frozen=True)
class DiskTraffic:
    """What a disk has read and written since the machine started; `busy_ms` is the time it had work."""

    read_bytes: int
    written_bytes: int
    reads: int
    writes: int
    busy_ms: int


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    device: str
    path: str
    kind: str


def cpu_ticks(text: str) -> dict[str, dict[str, int]]:
    """Time of each core by mode, in clock ticks, from /proc/stat; cores are named by their number."""
    cores: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            cores[name.removeprefix("cpu")] = dict(zip(CPU_MODES, map(int, values), strict=False))
    if not cores:
        raise ValueError("no line of a core in /proc/stat")
    return cores


def memory_bytes(text: str) -> dict[str, int]:
    """The entries of /proc/meminfo that are sizes (bytes)."""
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            sizes[name] = int(value.removesuffix(" kB")) * 1024
    return sizes


def interfaces(text: str) -> dict[str, Traffic]:
    """The network interfaces of /proc/net/dev but for the loopback, by name."""
    found: dict[str, Traffic] = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        v = [int(value) for value in rest.split()]
        if len(v) < 16:
            raise ValueError(f"a line of /proc/net/dev has {len(v)} values: {line.strip()}")
        found[name.strip()] = Traffic(v[0], v[1], v[3], v[8], v[9], v[11])
    found.pop("lo", None)
    return found


def counters(text: str) -> dict[str, int]:
    """The counters of /proc/net/netstat or /proc/net/snmp as `TcpExt.ListenDrops`."""
    lines = text.splitlines()
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        group, _, rest = names.partition(":")
        same, _, numbers = values.partition(":")
        if group != same:
            raise ValueError(f"the names of {group} are followed by the values of {same}")
        for name, number in zip(rest.split(), numbers.split(), strict=True):
            found[f"{group}.{name}"] = int(number)
    return found


def socket_counts(text: str) -> dict[str, int]:
    """The counts of /proc/net/sockstat as `TCP.tw`; memory is in pages."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        group, _, rest = line.partition(":")
        words = rest.split()
        for name, number in zip(words[::2], words[1::2], strict=True):
            found[f"{group}.{name}"] = int(number)
    return found


def input_drops(text: str) -> int:
    """Packets dropped because `net.core.netdev_max_backlog` was reached, from /proc/net/softnet_stat."""
    return sum(int(line.split()[1], 16) for line in text.splitlines())


def disks(text: str) -> dict[str, DiskTraffic]:
    """The whole disks of /proc/diskstats by name: no partitions, nothing that is in memory."""
    found: dict[str, DiskTraffic] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 12 and _WHOLE_DISK.match(words[2]):
            v = [int(word) for word in words[3:]]
            found[words[2]] = DiskTraffic(v[2] * SECTOR_BYTES, v[6] * SECTOR_BYTES, v[0], v[4], v[9])
    return found


def mounts(text: str) -> tuple[Mount, ...]:
    """The file systems of /proc/self/mounts in the order in which they were mounted."""
    found: list[Mount] = []
    for line in text.splitlines():
        device, path, kind = (_unescaped(word) for word in line.split()[:3])
        found.append(Mount(device, path, kind))
    return tuple(found)


def open_files(text: str) -> tuple[int, int]:
    """How many descriptors the whole system has open and may have, from /proc/sys/fs/file-nr."""
    opened, _, most = (int(word) for word in text.split())
    return opened, most


def descriptor_limit(text: str) -> int | None:
    """How many descriptors a process may have, from its /proc/PID/limits; None when there is no limit."""
    for line in text.splitlines():
        if line.startswith("Max open files"):
            soft = line.removeprefix("Max open files").split()[0]
            return None if soft == "unlimited" else int(soft)
    raise ValueError("no `Max open files` in the limits of a process")


@dataclass(frozen=True)
class ListenerLoad:
    """What a listening unix socket has: connections accepted and open, and those that wait for it."""

    accepted: int = 0
    waiting: int = 0


def listener_loads(lines: Iterable[str], listeners: Mapping[str, str]) -> dict[str, ListenerLoad]:
    """The load of listening unix sockets, from the lines of /proc/net/unix.

    The accepting end of a connection has the address that its listener was bound to; while the connection
    waits in the accept queue it belongs to no process, and its state is `connecting`.

    Args:
        lines: those of /proc/net/unix.
        listeners: by the address that it was bound to, what each listener is called; several may be one.
    """
    accepted: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for line in lines:
        words = line.split(maxsplit=7)
        if len(words) < 8:
            continue
        name = listeners.get(words[7].rstrip("\n"))
        if name is not None and words[4] == _STREAM:
            accepted[name] += words[5] == _CONNECTED
            waiting[name] += words[5] == _CONNECTING
    return {name: ListenerLoad(accepted[name], waiting[name]) for name in listeners.values()}


_STREAM: Final = "0001"
_CONNECTING: Final = "02"
_CONNECTED: Final = "03"


def _unescaped(word: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)
