"""What is kept of a publication is whole at any time, and says which blocks AWS has."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.publish.errors import PublishError
from ami.publish.state import Upload, load, new_upload, ranges, save, state_file_of

UPLOAD = Upload("eu-west-1", "f" * 64, "token", "snap-0123456789abcdef0", ((0, 3), (7, 7)))


@given(st.sets(st.integers(0, 200)))
def test_blocks_as_ranges_are_the_same_blocks(indices: set[int]) -> None:
    assert msgspec.structs.replace(UPLOAD, done=ranges(indices)).blocks == indices


@given(st.sets(st.integers(0, 200)))
def test_no_two_ranges_touch(indices: set[int]) -> None:
    found = ranges(indices)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "state", UPLOAD)
    assert load(tmp_path / "state") == UPLOAD
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_without_a_file_nothing_has_begun(tmp_path: Path) -> None:
    assert load(tmp_path / "state") is None


def test_two_publications_never_have_the_same_token() -> None:
    assert new_upload("eu-west-1", "f").token != new_upload("eu-west-1", "f").token


def test_the_state_is_beside_the_disk_and_each_region_has_its_own() -> None:
    assert state_file_of(Path("out/disk.raw"), "eu-west-1") == Path("out/disk.raw.eu-west-1.publish.json")


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "state", UPLOAD)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PublishError, match=r"state cannot be written: No space left on device"):
        save(tmp_path / "state", msgspec.structs.replace(UPLOAD, sealed=True))
    assert load(tmp_path / "state") == UPLOAD


@pytest.mark.parametrize("text", ["", "{", "{}", '{"region": 1}'])
def test_a_file_that_is_no_state_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PublishError, match=r"is not the state of a publication .*remove it to start anew"):
        load(file)
    assert file.read_text(encoding="utf-8") == text
