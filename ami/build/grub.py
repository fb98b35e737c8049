"""GRUB without its installer: boot sector and core image with the numbers of the sectors they are at.

`grub-bios-setup` needs a device that it can open as a disk; what it writes is little enough to write here.
The offsets are those of GRUB's include/grub/i386/pc/boot.h and include/grub/offsets.h.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from ami.build.gpt import SECTOR
from ami.build.shell import BuildError, run

MODULES: Final = Path("/usr/lib/grub/i386-pc")

_NEEDED: Final = (
    *(
        "biosdisk",
        "part_gpt",
        "ext2",
        "search",
        "search_label",
        "normal",
        "linux",
        "serial",
        "terminal",
        "echo",
    ),
    *("configfile", "boot", "minicmd", "ls", "test", "gzio"),
)
_EARLY: Final = "search --no-floppy --label isochrone-root --set=root\nset prefix=($root)/boot/grub\n"

_CORE_SECTOR: Final = 0x5C
_DRIVE_CHECK: Final = 0x66
_CODE_END: Final = 446
_BLOCK_LIST: Final = SECTOR - 12
_TWO_NOPS: Final = b"\x90\x90"


def make_core(directory: Path, log: Path) -> bytes:
    """GRUB's core image, which finds the root file system by its label."""
    early, core = directory / "early.cfg", directory / "core.img"
    early.write_text(_EARLY)
    run(
        [
            *("grub-mkimage", "--format", "i386-pc", "--prefix", "/boot/grub", "--config", early),
            *("--output", core, *_NEEDED),
        ],
        log=log,
    )
    return core.read_bytes()


def placed_core(core: bytes, first: int) -> bytes:
    """The core image for a place on the disk: its first sector loads the others, which follow it.

    Args:
        core: what grub-mkimage wrote.
        first: the sector it begins at.

    Raises:
        BuildError: when this is not a core image.
    """
    padded = core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0")
    _, length, segment = struct.unpack_from("<QHH", padded, _BLOCK_LIST)
    if length != len(padded) // SECTOR - 1 or not segment:
        raise BuildError("grub-mkimage wrote no core image that is known here; is this GRUB 2.06?")
    return padded[:_BLOCK_LIST] + struct.pack("<QHH", first + 1, length, segment) + padded[SECTOR:]


def placed_boot(boot: bytes, sector: bytes, first: int) -> bytes:
    """The boot sector that loads the core image at `first`, with the partition table that `sector` has.

    Two instructions are left out, as for every hard disk: they would mistrust the drive that the BIOS names.

    Raises:
        BuildError: when `boot` is not GRUB's boot sector.
    """
    if len(boot) != SECTOR or boot[-2:] != b"\x55\xaa":
        raise BuildError(f"{MODULES}/boot.img is not a boot sector; install grub-pc-bin again")
    code = bytearray(boot[:_CODE_END])
    struct.pack_into("<Q", code, _CORE_SECTOR, first)
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _TWO_NOPS
    return bytes(code) + sector[_CODE_END:]
