"""Which blocks of a disk are sent: all that are not empty, and nothing else."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami.publish.blocks import BLOCK, Contents, contents, data_extents, read_block, touched

PAGE = 4096
WRITES = st.lists(
    st.tuples(
        # Near the edges of blocks, where mistakes are.
        st.builds(lambda block, by: max(0, block * BLOCK + by), st.integers(0, 5), st.integers(-3, PAGE)),
        st.sampled_from([b"\0", b"\1", b"\0\0\1", bytes(BLOCK), b"\2" * (BLOCK + 1), bytes(PAGE) + b"\3"]),
    ),
    max_size=5,
)


@contextmanager
def disk_of(writes: list[tuple[int, bytes]], size: int) -> Iterator[tuple[int, bytes]]:
    """A sparse file's descriptor, and the bytes that the file has."""
    whole = bytearray(max([size, *(at + len(data) for at, data in writes)]))
    with tempfile.TemporaryFile() as file:
        for at, data in writes:
            file.seek(at)
            file.write(data)
            whole[at : at + len(data)] = data
        file.truncate(size)
        file.flush()
        yield file.fileno(), bytes(whole[:size])


def read(writes: list[tuple[int, bytes]], size: int) -> Contents:
    with disk_of(writes, size) as (fd, _):
        return contents(fd, size)


@settings(deadline=None, max_examples=60)
@given(WRITES, st.integers(1, 7 * BLOCK))
def test_the_blocks_of_a_sparse_disk_put_together_are_the_disk(
    writes: list[tuple[int, bytes]], size: int
) -> None:
    with disk_of(writes, size) as (fd, whole):
        found = contents(fd, size)
        rebuilt = bytearray(-(-size // BLOCK) * BLOCK)
        for index, digest in found.digests.items():
            block = read_block(fd, index)
            assert len(block) == BLOCK
            assert hashlib.sha256(block).digest() == digest
            rebuilt[index * BLOCK : (index + 1) * BLOCK] = block
    assert rebuilt[:size] == whole
    assert not any(rebuilt[size:])


@settings(deadline=None, max_examples=60)
@given(WRITES, st.integers(1, 7 * BLOCK))
def test_no_block_is_sent_that_is_empty_and_none_twice(writes: list[tuple[int, bytes]], size: int) -> None:
    with disk_of(writes, size) as (fd, whole):
        indices = list(contents(fd, size).digests)
    full = [i for i in range(-(-size // BLOCK)) if any(whole[i * BLOCK : (i + 1) * BLOCK])]
    assert indices == full


@given(st.lists(st.integers(0, 4 * BLOCK), max_size=8, unique=True).map(sorted))
def test_a_block_is_touched_once_by_all_ranges_that_lie_in_it(edges: list[int]) -> None:
    extents = [range(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    touching = {i for i in range(5) for e in extents if e.start < (i + 1) * BLOCK and e.stop > i * BLOCK}
    assert list(touched(extents)) == sorted(touching)


def test_holes_are_not_read() -> None:
    size = 1 << 40
    looked: list[int] = []
    with disk_of([(0, b"\1")], BLOCK) as (fd, _):
        os.truncate(fd, size)
        os.pwrite(fd, b"\2", size // 2)
        found = contents(fd, size, looked.append)
    assert list(found.digests) == [0, size // 2 // BLOCK]
    assert looked == [BLOCK, size // 2 + BLOCK, size]


def test_a_file_system_that_knows_no_holes_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with disk_of([(3 * BLOCK, b"\1")], 4 * BLOCK) as (fd, _):
        monkeypatch.setattr(os, "lseek", lambda _fd, at, how: at if how == os.SEEK_DATA else 4 * BLOCK)
        assert list(data_extents(fd, 4 * BLOCK)) == [range(4 * BLOCK)]
        assert list(contents(fd, 4 * BLOCK).digests) == [3]


def test_the_last_block_is_filled_up_with_zeros() -> None:
    with disk_of([(BLOCK, b"\1" * 512)], BLOCK + 512) as (fd, _):
        assert read_block(fd, 1) == b"\1" * 512 + bytes(BLOCK - 512)


def test_a_read_that_returns_less_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: real(fd, min(n, 100_000), at))
    with disk_of([(0, bytes(range(256)) * (BLOCK // 256))], BLOCK) as (fd, whole):
        assert read_block(fd, 0) == whole


def test_the_aggregate_is_the_checksum_of_the_digests_by_ascending_index() -> None:
    first, second = hashlib.sha256(b"first").digest(), hashlib.sha256(b"second").digest()
    expected = hashlib.sha256(first + second).digest()
    assert Contents(BLOCK, {2: first, 11: second}).aggregate == expected
    assert Contents(BLOCK, {11: second, 2: first}).aggregate == expected


def test_a_volume_is_the_smallest_number_of_gib_into_which_the_disk_fits() -> None:
    gib = 1024**3
    sizes: Mapping[int, int] = {1: 1, gib: 1, gib + 1: 2, 8 * gib: 8}
    assert {size: Contents(size, {}).size_gib for size in sizes} == sizes


def test_equal_disks_have_equal_fingerprints_however_they_are_stored() -> None:
    assert (
        read([(0, b"\1")], 3 * BLOCK).fingerprint
        == read([(0, b"\1"), (BLOCK, bytes(BLOCK))], 3 * BLOCK).fingerprint
    )


@pytest.mark.parametrize(
    ("writes", "size"),
    [([(0, b"\2")], 3 * BLOCK), ([(BLOCK, b"\1")], 3 * BLOCK), ([(0, b"\1")], 3 * BLOCK + 512)],
    ids=["another byte", "another place", "another size"],
)
def test_another_disk_has_another_fingerprint(writes: list[tuple[int, bytes]], size: int) -> None:
    assert read(writes, size).fingerprint != read([(0, b"\1")], 3 * BLOCK).fingerprint


def test_a_disk_with_nothing_on_it_has_no_blocks(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(BLOCK))
    with (tmp_path / "disk").open("rb") as file:
        assert not contents(file.fileno(), BLOCK).digests
