"""Results on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from bench.errors import BenchError
from bench.result import SCHEMA, Result, decode, encode

PREVIOUS: Final = "previous-"
"""What the name of a file is put behind when a new comparison comes in its place."""


class StoredResultError(BenchError):
    """A file is not a result that this version can read; the message says why."""


def load(path: Path) -> Result:
    """The result in a file.

    Raises:
        StoredResultError: it cannot be read, is not a result, or has another schema.
    """
    try:
        result = decode(path.read_bytes())
    except OSError as error:
        raise StoredResultError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoredResultError(f"{path}: is not the result of a comparison: {error}") from None
    if result.schema != SCHEMA:
        raise StoredResultError(
            f"{path}: has schema {result.schema}, this version reads {SCHEMA}; run the comparison again"
        )
    return result


def save(result: Result, path: Path) -> None:
    """Write a result to a file, replacing it whole.

    Raises:
        StoredResultError: the file cannot be written.
    """
    replace(path, encode(result) + b"\n")


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the whole of it or the one before.

    Raises:
        StoredResultError: the file cannot be written.
    """
    draft = path.parent / f".{path.name}.{os.getpid()}"
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise StoredResultError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)


def set_aside(*paths: Path) -> None:
    """Give the files of an earlier comparison other names, so that none is taken for one of this."""
    for path in paths:
        if path.exists():
            path.replace(path.with_name(PREVIOUS + path.name))
