"""The volume of a Redis machine's data: found under whatever name it has, formatted once, mounted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ami.errors import AmiError
from ami.node.paths import REDIS_DATA
from ami.node.system import Directory, Disk, Run, must

LABEL: Final = "isochrone-data"
PATIENCE_S: Final = 300.0
"""How long it may take until the volume is attached: AWS attaches it after the machine has started."""

PAUSE_S: Final = 2.0
FORMAT_S: Final = 300.0
EBS_MODEL: Final = "Amazon Elastic Block Store"
"""What an NVMe disk says that is an EBS volume; an instance's own disks say something else."""

_EMPTY: Final = 2
"""blkid's status for a device in which it finds nothing that it knows."""


class VolumeError(AmiError):
    """The data volume is not there or is not ours."""


class Device(Struct, frozen=True):
    """A disk as `lsblk` describes it."""

    path: str
    type: str
    model: str | None = None
    mountpoints: list[str | None] = []
    children: list[Device] = []

    @property
    def in_use(self) -> bool:
        """Whether it is mounted or has partitions."""
        return bool(self.children) or any(self.mountpoints)


class _Listing(Struct):
    blockdevices: list[Device]


def choose(wanted: str, devices: Sequence[Device]) -> str | None:
    """The path of the data volume, None when it is not there yet.

    A machine with NVMe renames it: then it is the one EBS volume beside the root's.

    Raises:
        VolumeError: when several could be meant.
    """
    disks = [device for device in devices if device.type == "disk"]
    if any(disk.path == wanted for disk in disks):
        return wanted
    found = [
        d.path for d in disks if not d.children and (d.model or "").strip() == EBS_MODEL and not _root(d)
    ]
    if len(found) > 1:
        raise VolumeError(f"{', '.join(found)} could each be the data volume {wanted}; attach only one")
    return found[0] if found else None


def _root(device: Device) -> bool:
    return "/" in device.mountpoints


def mount(
    wanted: str,
    disk: Disk,
    run: Run,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
    where: Path = REDIS_DATA,
) -> None:
    """Mount the data volume, once it is attached; one in which nothing is gets a file system first.

    Raises:
        VolumeError: when it is not attached in time, several could be it, or it holds what is not ours.
        ProgramError: when it cannot be formatted or mounted.
    """
    if run(["mountpoint", "--quiet", str(where)]).status == 0:
        return
    path = _attached(wanted, run, patience_s, sleep)
    found = run(["blkid", "--probe", "--output", "export", path])
    if found.status == _EMPTY:
        must(run, ["mkfs.ext4", "-q", "-L", LABEL, path], FORMAT_S)
    elif f"LABEL={LABEL}" not in found.output.splitlines():
        raise VolumeError(
            f"{path} holds something that is not called {LABEL}: it is left alone; attach an empty volume"
        )
    disk.make(Directory(where))
    # By systemd: a mount of the boot's own would be seen by the boot alone.
    must(run, ["systemd-mount", "--options=noatime", path, str(where)])


def _attached(wanted: str, run: Run, patience_s: float, sleep: Callable[[float], None]) -> str:
    deadline = time.monotonic() + patience_s
    while True:
        text = must(run, ["lsblk", "--json", "--paths", "--output", "NAME,PATH,TYPE,MODEL,MOUNTPOINTS"])
        if (path := choose(wanted, msgspec.json.decode(text, type=_Listing).blockdevices)) is not None:
            return path
        if time.monotonic() >= deadline:
            raise VolumeError(f"the data volume {wanted} is not attached after {patience_s:g} s; attach it")
        sleep(PAUSE_S)
