"""The partition table of the disk: a BIOS boot partition for GRUB, and the root file system. Pure bytes."""

from __future__ import annotations

import binascii
import struct
import uuid
from dataclasses import dataclass
from typing import Final

SECTOR: Final = 512
ENTRIES: Final = 128
_ENTRY_BYTES: Final = 128
_TABLE_SECTORS: Final = ENTRIES * _ENTRY_BYTES // SECTOR

BIOS_BOOT: Final = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
LINUX_ROOT: Final = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")

BOOT_FIRST: Final = 2048
"""The first sector of the BIOS boot partition: 1 MiB into the disk, as everything is aligned."""

ROOT_FIRST: Final = 4096
"""The first sector of the root partition."""


@dataclass(frozen=True)
class Partition:
    """A partition: what it is for, its identity, its sectors (first and last), and its name."""

    kind: uuid.UUID
    identity: uuid.UUID
    first: int
    last: int
    name: str

    def entry(self) -> bytes:
        """Its entry in the table."""
        name = self.name.encode("utf-16-le").ljust(72, b"\0")
        return struct.pack(
            "<16s16sQQQ72s", self.kind.bytes_le, self.identity.bytes_le, self.first, self.last, 0, name
        )


def partitions(sectors: int, identity: uuid.UUID) -> tuple[Partition, Partition]:
    """The two partitions of a disk of so many sectors; their identities are derived from the disk's."""
    last = sectors - _TABLE_SECTORS - 2
    # The end is aligned as well, so that what is written there is whole pages.
    last -= (last + 1) % 2048
    return (
        Partition(BIOS_BOOT, uuid.uuid5(identity, "grub"), BOOT_FIRST, ROOT_FIRST - 1, "grub"),
        Partition(LINUX_ROOT, uuid.uuid5(identity, "root"), ROOT_FIRST, last, "root"),
    )


@dataclass(frozen=True)
class Table:
    """The bytes of a partition table: its beginning, from sector 0, and its copy, which ends the disk."""

    head: bytes
    tail: bytes
    tail_first: int


def table(sectors: int, identity: uuid.UUID, entries: tuple[Partition, ...]) -> Table:
    """The table of a disk of so many sectors."""
    body = b"".join(entry.entry() for entry in entries).ljust(ENTRIES * _ENTRY_BYTES, b"\0")
    last = sectors - 1
    first_usable, last_usable = 2 + _TABLE_SECTORS, sectors - _TABLE_SECTORS - 2

    def header(own: int, other: int, body_first: int) -> bytes:
        def packed(checksum: int) -> bytes:
            return struct.pack(
                "<8sIIIIQQQQ16sQIII",
                *(b"EFI PART", 0x00010000, 92, checksum, 0, own, other, first_usable, last_usable),
                *(identity.bytes_le, body_first, ENTRIES, _ENTRY_BYTES, binascii.crc32(body)),
            )

        return packed(binascii.crc32(packed(0))).ljust(SECTOR, b"\0")

    head = _protective(sectors) + header(1, last, 2) + body
    tail_first = last - _TABLE_SECTORS
    return Table(head, body + header(last, 1, tail_first), tail_first)


def _protective(sectors: int) -> bytes:
    """The first sector: one partition of type EE over the whole disk, as BIOS and old programs read it."""
    entry = struct.pack(
        "<B3sB3sII", 0x00, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF)
    )
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
