"""What can go wrong in a benchmark, under one root."""

from __future__ import annotations

from collections.abc import Sequence


class BenchError(Exception):
    """The root of the benchmark's errors; the message says what to do."""


class ScenarioError(BenchError, ValueError):
    """A scenario that cannot be run; `problems` holds every mistake, not only the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("The scenario cannot be run: " + "; ".join(self.problems) + ".")


class PlanError(BenchError):
    """A worker's plan, or a file that it names, cannot be used."""


class WorkerError(BenchError):
    """A load worker ended before its time, said something unexpected, or did not answer."""
