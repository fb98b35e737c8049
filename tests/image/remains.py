"""What is left on a disk: every byte of it is looked at, in files or in between."""

from __future__ import annotations

import mmap
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex

from tests.image.guest import Guest


def left_by(guest: Guest, values: Mapping[str, str]) -> list[str]:
    """Cut a machine's power, and say which secrets are on its disk, by their keys.

    Something that is written just before has to be found as well, or the search finds nothing.
    """
    written = token_hex(16)
    guest.run(f"echo {written} >/var/lib/written && sync")
    guest.stop()
    found = on_disk(guest.overlay, {**secrets(values), "written": written.encode()})
    assert "written" in found
    return [key for key in found if key != "written"]


def secrets(values: Mapping[str, str]) -> dict[str, bytes]:
    """What to look for: the secrets themselves, and of a private key one line of its own."""
    found = {}
    for key, value in values.items():
        lines = value.splitlines()
        if len(lines) > 1:
            marker = next(n for n, line in enumerate(lines) if line.endswith("PRIVATE KEY-----"))
            value = lines[marker + 1]  # noqa: PLW2901
        found[key] = value.encode()
    return found


def on_disk(disk: Path, wanted: Mapping[str, bytes]) -> list[str]:
    """Which of the wanted bytes are on a disk, by their keys; it is off, and of any format of QEMU's."""
    raw = disk.with_suffix(".scan")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True, timeout=120)
    try:
        return sorted({key for key, value in wanted.items() if _has(raw, value)})
    finally:
        raw.unlink()


def _has(path: Path, value: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as memory:
        return any(
            memory.find(value, max(0, first - len(value)), last + len(value)) >= 0
            for first, last in extents(stream.fileno())
        )


def extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where a sparse file has data: from, and up to."""
    end = os.fstat(descriptor).st_size
    place = 0
    while place < end:
        try:
            first = os.lseek(descriptor, place, os.SEEK_DATA)
        except OSError:
            return
        place = os.lseek(descriptor, first, os.SEEK_HOLE)
        yield first, place
