"""A comparison on AWS grows run by run: each stack's result joins those that are in its folder already."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench import stored
from bench.result import SCHEMA, ArchitectureResult, Result, Run
from fleet.errors import FleetError

ALIKE = ("users", "ramp_s", "duration_s", "world", "home")
"""What the runs of a comparison have in common."""


def joined(path: Path, stack: str, found: ArchitectureResult, run: Run) -> Result:
    """The comparison in a file with a stack's result added, or put in place of an earlier one.

    Args:
        path: the file; there may be none yet.
        stack: the stack's name.
        found: its result.
        run: what was run.

    Raises:
        FleetError: when the file has runs under another load.
        StoredResultError: when it is no result.
    """
    if not path.exists():
        return Result(schema=SCHEMA, architectures={stack: found}, run=run)
    earlier = stored.load(path)
    check(path, earlier, run)
    return msgspec.structs.replace(earlier, architectures={**earlier.architectures, stack: found}, run=run)


def check(path: Path, earlier: Result, run: Run) -> None:
    """That a run may join a comparison; raises `FleetError` when it may not."""
    if earlier.run is None:
        raise FleetError(f"{path} does not say what was run: choose another --out")
    others = {key: getattr(earlier.run, key) for key in ALIKE}
    if different := [key for key in ALIKE if others[key] != getattr(run, key)]:
        were = ", ".join(f"{key} {others[key]}" for key in different)
        raise FleetError(f"{path} has runs with {were}: choose another --out, or the same load")
