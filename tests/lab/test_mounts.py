"""Small disks: full when they are, and gone with their lab."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import mounts
from lab.errors import WorldError
from lab.world import destroy
from tests.lab.worlds import lab_name


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory below which nothing is mounted afterwards, whatever the test does."""
    path = tmp_path / "a disk"
    path.mkdir()
    yield path
    mounts.unmount_below(tmp_path)


def test_what_does_not_fit_is_refused_and_what_was_there_stays(directory: Path) -> None:
    mounts.mount_small(directory, 1, user="root", mode=0o700)
    assert directory.stat().st_mode & 0o777 == 0o700
    (directory / "kept").write_bytes(b"kept")
    with pytest.raises(OSError, match="No space left") as refused:
        (directory / "large").write_bytes(bytes(2 << 20))
    assert refused.value.errno == errno.ENOSPC
    assert (directory / "kept").read_bytes() == b"kept"


def test_below_has_the_innermost_first_and_nothing_beside(directory: Path) -> None:
    mounts.mount_small(directory, 1, user="root")
    inner, beside = directory / "inner", directory.with_name("a disk beside")
    for path in (inner, beside):
        path.mkdir()
        mounts.mount_small(path, 1, user="root")
    assert mounts.below(directory) == [inner, directory]
    mounts.unmount_below(directory)
    assert mounts.below(directory) == []
    assert mounts.below(beside) == [beside]


def test_a_lab_that_is_destroyed_from_its_name_leaves_nothing_mounted(directory: Path) -> None:
    name = lab_name()
    disk = directory / name / "machines" / "redis"
    disk.mkdir(parents=True)
    mounts.mount_small(disk, 1, user="root")
    destroy(name, directory)
    assert mounts.below(directory) == []
    assert not (directory / name).exists()


def test_what_cannot_be_mounted_says_why(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot mount"):
        mounts.mount_small(tmp_path / "nowhere", 1, user="root")
