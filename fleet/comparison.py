"""A comparison on AWS grows run by run: each stack's result joins those that are in its folder already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from bench import stored
from bench.result import SCHEMA, ArchitectureResult, Result, Run
from fleet.errors import FleetError

ALIKE: Final[Mapping[str, str]] = {
    "users": "users",
    "ramp_s": "a ramp in s of",
    "duration_s": "a duration in s of",
    "seed": "the seed",
    "machine": "the load fleet",
    "prices": "the prices of",
    "version": "the version",
    "data_path": "the data path",
    "world": "the world",
    "home": "the home region",
}
"""What the runs of a comparison have in common, and how a refusal names it."""

_UNKNOWN: Final = (None, "")
"""What stands for what the version that ran it did not keep."""


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
    found = msgspec.structs.replace(found, run=run)
    if not path.exists():
        return Result(schema=SCHEMA, architectures={stack: found}, run=run)
    earlier = stored.load(path)
    check(path, earlier, run)
    others = {name: kept for name, kept in earlier.architectures.items() if name != stack}
    if not others:
        return msgspec.structs.replace(earlier, architectures={stack: found}, run=run)
    if len(earlier.architectures) == 1:
        others = {
            name: msgspec.structs.replace(kept, run=kept.run or earlier.run) for name, kept in others.items()
        }
    architectures = {name: others.get(name, found) for name in dict.fromkeys([*earlier.architectures, stack])}
    return msgspec.structs.replace(earlier, architectures=architectures, run=_common(earlier.run or run, run))


def _common(first: Run, later: Run) -> Run:
    """The first run's, with what the version that kept it did not keep and a later one says."""
    unknown = {key: getattr(later, key) for key in ("seed", "prices") if getattr(first, key) in _UNKNOWN}
    return msgspec.structs.replace(first, **unknown)


def check(path: Path, earlier: Result, run: Run) -> None:
    """That a run may join a comparison: what is known of the runs in it is alike.

    Args:
        path: the comparison's file, for the message.
        earlier: the comparison.
        run: what is to be run.

    Raises:
        FleetError: when the run is unlike those, or nothing is known of them.
    """
    if earlier.run is None:
        raise FleetError(f"{path} does not say what was run: choose another --out")
    others = {key: getattr(earlier.run, key) for key in ALIKE}
    different = [key for key in ALIKE if others[key] not in (*_UNKNOWN, getattr(run, key))]
    if different:
        were = ", ".join(f"{ALIKE[key]} {others[key]}" for key in different)
        are = ", ".join(f"{ALIKE[key]} {getattr(run, key)}" for key in different)
        raise FleetError(
            f"{path} has runs with {were}, and this one has {are}: choose another --out, or the same for all"
        )
