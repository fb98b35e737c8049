"""The bytes of the disk: what firmware and boot loader read is where they look for it."""

from __future__ import annotations

import binascii
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

from ami.build import gpt, grub
from ami.build.image import Image
from ami.build.shell import BuildError

IDENTITY = uuid.UUID("12345678-1234-5678-1234-567812345678")
SECTORS = 64 * 2048


def test_an_image_without_the_key_of_awss_agent_says_so_when_it_is_built(tmp_path: Path) -> None:
    (note,) = Image(tmp_path).notes()
    assert "Session Manager does not reach them" in note
    key = tmp_path / "root/usr/share/isochrone/ssm-agent.asc"
    key.parent.mkdir(parents=True)
    key.touch()
    assert Image(tmp_path).notes() == ()


def laid() -> tuple[tuple[gpt.Partition, gpt.Partition], gpt.Table]:
    entries = gpt.partitions(SECTORS, IDENTITY)
    return entries, gpt.table(SECTORS, IDENTITY, entries)


def test_partitions_are_aligned_in_order_and_inside_the_disk() -> None:
    (boot, root), table = laid()
    assert boot.first % 2048 == root.first % 2048 == (root.last + 1) % 2048 == 0
    assert boot.last < root.first
    assert root.last < table.tail_first
    assert boot.kind == gpt.BIOS_BOOT


@pytest.mark.parametrize("where", ["head", "tail"])
def test_each_copy_of_the_table_is_correct_by_itself(where: str) -> None:
    (boot, _), table = laid()
    header = table.head[512:1024] if where == "head" else table.tail[-512:]
    body = table.head[1024:] if where == "head" else table.tail[:-512]
    fields = struct.unpack_from("<8sIIIIQQQQ16sQIII", header)
    assert fields[0] == b"EFI PART"
    assert fields[5:7] == ((1, SECTORS - 1) if where == "head" else (SECTORS - 1, 1))
    without = header[:16] + bytes(4) + header[20:92]
    assert fields[3] == binascii.crc32(without)
    assert fields[13] == binascii.crc32(body)
    assert body.startswith(boot.entry())


def test_a_real_program_reads_the_table(tmp_path: Path) -> None:
    (boot, root), table = laid()
    disk = tmp_path / "disk"
    disk.write_bytes(table.head.ljust(table.tail_first * 512, b"\0") + table.tail)
    listed = subprocess.run(
        ["partx", "--show", "--noheadings", "--output", "START,END,NAME", disk],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout.split()
    assert listed == [str(boot.first), str(boot.last), "grub", str(root.first), str(root.last), "root"]


def core(sectors: int = 3) -> bytes:
    first = bytes(500) + struct.pack("<QHH", 1, sectors - 1, 0x820)
    return first + bytes(512 * (sectors - 1))


def test_the_core_image_loads_the_sectors_after_its_own() -> None:
    placed = grub.placed_core(core(), 2048)
    assert struct.unpack_from("<QHH", placed, 500) == (2049, 2, 0x820)


def test_a_core_image_of_another_form_is_refused() -> None:
    with pytest.raises(BuildError, match="no core image that is known here"):
        grub.placed_core(bytes(1024), 2048)


def test_the_boot_sector_keeps_the_partition_table_and_names_the_core() -> None:
    _, table = laid()
    boot = bytes(range(256)) + bytes(254) + b"\x55\xaa"
    sector = grub.placed_boot(boot, table.head[:512], 2048)
    assert struct.unpack_from("<Q", sector, 0x5C) == (2048,)
    assert sector[0x66:0x68] == b"\x90\x90"
    assert sector[446:] == table.head[446:512]
    assert sector[:0x5C] == boot[:0x5C]


def test_what_is_not_a_boot_sector_is_refused() -> None:
    with pytest.raises(BuildError, match="not a boot sector"):
        grub.placed_boot(bytes(512), bytes(512), 2048)
