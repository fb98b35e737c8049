"""Results on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from bench.errors import BenchError
from bench.result import SCHEMA, Elasticity, Meters, Range, Result, decode, encode

LARGEST: Final = 1e15
"""No latency in milliseconds, amount, count or cost of a run is larger: pictures and sums have to hold it."""

_NOTHING: Final = Range(None, None, None)
_NO_METERS: Final = Meters(_NOTHING, _NOTHING, _NOTHING, _NOTHING, None, Elasticity(None, None))

PREVIOUS: Final = "previous-"
"""What the name of a file is put behind when a new comparison comes in its place."""


class StoredResultError(BenchError):
    """A file is not a result that this version can read; the message says why."""


def load(path: Path) -> Result:
    """The result in a file.

    Raises:
        StoredResultError: it cannot be read, is not a result, holds what cannot have been measured, or has
            another schema.
    """
    try:
        result = decode(path.read_bytes())
    except OSError as error:
        raise StoredResultError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoredResultError(f"{path}: is not the result of a comparison: {error}") from None
    if (found := _beyond(result)) is not None:
        raise StoredResultError(
            f"{path}: is not the result of a comparison: {found:g} cannot have been measured"
        )
    if result.schema != SCHEMA:
        raise StoredResultError(
            f"{path}: has schema {result.schema}, this version reads {SCHEMA}; run the comparison again"
        )
    return result


def _beyond(result: Result) -> float | None:
    """A figure that is larger than any that is measured; meters, which are products, have no bound."""
    for run in (*result.architectures.values(), *result.blocking.values()):
        figures = msgspec.to_builtins(msgspec.structs.replace(run, meters=_NO_METERS))
        for figure in _figures(figures):
            if abs(figure) > LARGEST:
                return figure
    return None


def _figures(value: object) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _figures(part)
    elif isinstance(value, int | float):
        yield value


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
