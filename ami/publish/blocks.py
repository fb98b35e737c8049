"""Which blocks of a disk have to be sent, and how they are summed up."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

BLOCK: Final = 512 * 1024
"""Bytes in a block of a snapshot (EBS direct APIs, `DataLength`: the only size that they take)."""

SECTOR: Final = 512
"""Bytes in a sector of a disk."""

GIB: Final = 1024**3

_EMPTY: Final = bytes(BLOCK)


@dataclass(frozen=True)
class Contents:
    """What is on a disk.

    Args:
        size: the disk's size in bytes.
        digests: the SHA-256 digest of every block that is not empty, by its index, in ascending order.
    """

    size: int
    digests: Mapping[int, bytes]

    @property
    def size_gib(self) -> int:
        """The size of the volume that the disk fits into, in GiB."""
        return -(-self.size // GIB)

    @property
    def sent_bytes(self) -> int:
        """How much has to be sent, in bytes."""
        return len(self.digests) * BLOCK

    @cached_property
    def fingerprint(self) -> str:
        """A digest of size and contents: two disks have the same one only when they are the same."""
        whole = hashlib.sha256(self.size.to_bytes(8, "big"))
        for index, digest in self.digests.items():
            whole.update(index.to_bytes(8, "big") + digest)
        return whole.hexdigest()

    @cached_property
    def aggregate(self) -> bytes:
        """The checksum of all digests, joined by ascending index (EBS direct APIs, method LINEAR)."""
        return hashlib.sha256(b"".join(self.digests[index] for index in sorted(self.digests))).digest()


def data_extents(fd: int, size: int) -> Iterator[range]:
    """The ranges of bytes of a file that are not holes, in ascending order.

    A file system that keeps no account of holes has one range, the whole file.

    Args:
        fd: the open file.
        size: its size in bytes.
    """
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield range(start, min(end, size))


def touched(extents: Iterable[range]) -> Iterator[int]:
    """The indices of the blocks in which ascending ranges of bytes lie, each once, in ascending order."""
    following = 0
    for extent in extents:
        first, last = extent.start // BLOCK, (extent.stop - 1) // BLOCK
        yield from range(max(first, following), last + 1)
        following = max(following, last + 1)


def read_block(fd: int, index: int) -> bytes:
    """A block of a file, filled up with zeros behind the file's end."""
    parts: list[bytes] = []
    missing = BLOCK
    while missing and (part := os.pread(fd, missing, (index + 1) * BLOCK - missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(chain(parts, [bytes(missing)]))


def contents(fd: int, size: int, on_read: Callable[[int], None] = lambda _: None) -> Contents:
    """Reads what is on a disk: all of it but holes.

    Args:
        fd: the open disk.
        size: its size in bytes.
        on_read: told the number of bytes up to which the disk has been read.
    """
    digests: dict[int, bytes] = {}
    for index in touched(data_extents(fd, size)):
        block = read_block(fd, index)
        if block != _EMPTY:
            digests[index] = hashlib.sha256(block).digest()
        on_read(min((index + 1) * BLOCK, size))
    on_read(size)
    return Contents(size, digests)
