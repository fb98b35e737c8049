"""How far a publication has come: kept in a file, so that another run can go on with it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Set
from pathlib import Path

import msgspec

from ami.publish.errors import PublishError


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One publication of one disk.

    Args:
        region: where the snapshot is.
        fingerprint: of the disk's contents.
        token: by which AWS knows a repeated request to begin the same snapshot.
        snapshot: the snapshot's id, once AWS has told it.
        done: the blocks that AWS has, as ranges of indices with first and last.
        sealed: whether AWS has been told that these are all.
    """

    region: str
    fingerprint: str
    token: str
    snapshot: str | None = None
    done: tuple[tuple[int, int], ...] = ()
    sealed: bool = False

    @property
    def blocks(self) -> Set[int]:
        """The indices of the blocks that AWS has."""
        return {index for first, last in self.done for index in range(first, last + 1)}


def new_upload(region: str, fingerprint: str) -> Upload:
    """A publication that has not begun, with a token that no other has."""
    return Upload(region, fingerprint, uuid.uuid4().hex)


def ranges(indices: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Indices as the fewest ranges, each with its first and last index."""
    found: list[tuple[int, int]] = []
    for index in sorted(indices):
        if found and index <= found[-1][1] + 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return tuple(found)


def state_file_of(disk: Path, region: str) -> Path:
    """Where a publication's state is unless told: beside the disk."""
    return disk.with_name(f"{disk.name}.{region}.publish.json")


def load(file: Path) -> Upload | None:
    """The publication that a file tells of, or None where there is no file.

    Raises:
        PublishError: when the file is not such a state or cannot be read.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Upload)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PublishError(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise PublishError(
            f"{file} is not the state of a publication ({error}): remove it to start anew, or name another"
            " file with --state"
        ) from error


def save(file: Path, upload: Upload) -> None:
    """Writes a publication's state: the file has the old one or the new one, never a part.

    Raises:
        PublishError: when it cannot be written.
    """
    beside = file.with_name(f".{file.name}.new")
    try:
        with beside.open("wb") as written:
            written.write(msgspec.json.format(msgspec.json.encode(upload), indent=1) + b"\n")
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
    except OSError as error:
        raise PublishError(
            f"{file} cannot be written: {error.strerror}; name a file that can be with --state"
        ) from error
