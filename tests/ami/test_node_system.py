"""Files appear whole and with their rights, and programs that fail are told of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ami.node.system import Directory, Disk, File, ProgramError, must, run
from tests.ami.node_fakes import disk


def test_a_file_is_written_whole_with_its_owner_and_its_rights(tmp_path: Path) -> None:
    where, given = disk(tmp_path)
    where.write(File(Path("/a/b/file"), "one\n", 0o640, "root", "redis"))
    where.write(File(Path("/a/b/file"), "two\n", 0o600, "redis", "redis"))
    path = tmp_path / "a/b/file"
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert given[Path("/a/b/file")] == ("redis", "redis")
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_account_that_the_image_lacks_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="has no account nobody-has-this"):
        Disk(tmp_path).write(File(Path("/file"), "x", owner="nobody-has-this", group="nobody-has-this"))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_there_gets_its_rights(tmp_path: Path) -> None:
    where, _ = disk(tmp_path)
    (tmp_path / "data").mkdir(mode=0o777)
    where.make(Directory(Path("/data"), 0o750, "mysql", "mysql"))
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o750


def test_a_text_is_in_no_representation() -> None:
    assert "swordfish" not in repr(File(Path("/x"), "swordfish"))


def test_a_program_says_how_it_ended() -> None:
    assert must(run, [sys.executable, "-c", "print('done')"]) == "done"
    with pytest.raises(ProgramError, match=r"failed \(3\): why"):
        must(run, [sys.executable, "-c", "print('why'); exit(3)"])
    with pytest.raises(ProgramError, match=r"failed \(127\)"):
        must(run, ["no-such-program"])
    with pytest.raises(ProgramError, match=r"has not ended after 0\.1 s"):
        must(run, [sys.executable, "-c", "import time; time.sleep(60)"], 0.1)
