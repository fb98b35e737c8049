"""Results on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.result import SCHEMA, Result, decode


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
