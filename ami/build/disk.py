"""The disk of the image, written without mounting anything: table, boot loader, root file system."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.build import gpt, grub
from ami.build.shell import run

LABEL: Final = "isochrone-root"
MIB: Final = 1 << 20

NAMESPACE: Final = uuid.UUID("5f1f7d3c-6f43-4b52-a6a0-0d8c7a9b6f11")
"""From which the identities of disk and file system are derived, with the time of the commit."""


@dataclass(frozen=True)
class Disk:
    """The disk to write.

    Args:
        path: its file.
        size_mib: its size; a volume made from it may be larger, and the machine grows into it.
        epoch: the time of everything in it (s since 1970).
    """

    path: Path
    size_mib: int
    epoch: int

    def write(self, root: Path, log: Path) -> None:
        """Write everything.

        Args:
            root: the tree that becomes the root file system.
            log: where the programs' output goes.

        Raises:
            BuildError: when the tree does not fit, or a program fails.
        """
        sectors = self.size_mib * MIB // gpt.SECTOR
        identity = uuid.uuid5(NAMESPACE, f"disk {self.epoch}")
        boot, main = gpt.partitions(sectors, identity)
        laid = gpt.table(sectors, identity, (boot, main))
        core = grub.placed_core(grub.make_core(self.path.parent, log), boot.first)
        self.path.unlink(missing_ok=True)
        with self.path.open("wb") as stream:
            stream.truncate(self.size_mib * MIB)
        self._make_root(root, main, log)
        with self.path.open("r+b") as stream:
            stream.write(grub.placed_boot((grub.MODULES / "boot.img").read_bytes(), laid.head, boot.first))
            stream.write(laid.head[gpt.SECTOR :])
            stream.seek(boot.first * gpt.SECTOR)
            stream.write(core)
            stream.seek(laid.tail_first * gpt.SECTOR)
            stream.write(laid.tail)

    def _make_root(self, root: Path, partition: gpt.Partition, log: Path) -> None:
        seed = uuid.uuid5(NAMESPACE, f"root {self.epoch}")
        offset = partition.first * gpt.SECTOR
        blocks = (partition.last + 1 - partition.first) * gpt.SECTOR // 4096
        run(
            [
                *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", LABEL, "-U", str(seed)),
                *(
                    "-E",
                    f"offset={offset},hash_seed={seed},root_owner=0:0,lazy_itable_init=1,resize=268435456",
                ),
                *("-d", root, self.path, str(blocks)),
            ],
            log=log,
            env={"E2FSPROGS_FAKE_TIME": str(self.epoch)},
        )
