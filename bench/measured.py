"""What the workers of one machine measured, and the load of all machines of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from bench.load import Load, combine, lag_of
from bench.outcome import Outcome
from bench.saturation import judge


class Measured(Struct, frozen=True):
    """One machine's part of a run.

    Args:
        outcomes: of its workers.
        cpu_busy: the share of its CPU time in use over the run (0 to 1), None when it is not known.
        phases: the same for the run's phases, by their names.
        full: the share of the run's slices in which its CPUs were full.
    """

    outcomes: list[Outcome]
    cpu_busy: float | None
    phases: dict[str, float | None]
    full: float | None


def load_of(parts: Sequence[Measured], ramp_s: float) -> Load:
    """The load of a run, of one machine or several; the busiest one says whether it was generated well."""
    outcomes = [outcome for part in parts for outcome in part.outcomes]
    names = dict.fromkeys(name for part in parts for name in part.phases)
    generator = judge(
        lag_of(outcomes),
        _most(part.cpu_busy for part in parts),
        {name: _most(part.phases.get(name) for part in parts) for name in names},
        _most(part.full for part in parts),
    )
    return combine(outcomes, ramp_s, generator)


def _most(shares: Iterable[float | None]) -> float | None:
    return max((share for share in shares if share is not None), default=None)
