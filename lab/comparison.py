"""A comparison: the same load on several architectures, one after the other on one machine."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol

import psutil

from bench.events import Progress
from bench.result import SCHEMA, ArchitectureResult, Result, Run
from bench.scenario import Scenario
from infra.architecture import Architecture
from infra.prices import PriceList
from infra.regions import RttMatrix
from lab import experiment
from lab.experiment import Experiment
from lab.site import DataPath

DataPaths = Literal["async", "blocking", "both"]


class Watcher(Protocol):
    """Is told how a comparison goes."""

    def step(self, text: str) -> None:
        """What is being done, in words."""

    def progress(self, progress: Progress) -> None:
        """How far the load is."""


@dataclass(frozen=True)
class Comparison:
    """What to compare, under which load, and where.

    Args:
        architectures: in the order in which they are run.
        matrix: the round trips between regions.
        data_paths: `both` runs the control after the service itself.
        scenario: what the users do.
        prices: what the cost is computed from.
        directory: where the workers' files go.
        command: the command that asked for it, for the result.
        name: the lab's name.
        root: where the lab keeps its state.
        seed: fixes what every user does and when, alike for all architectures.
    """

    architectures: Sequence[Architecture]
    matrix: RttMatrix
    data_paths: DataPaths
    scenario: Scenario
    prices: PriceList
    directory: Path
    command: str
    name: str
    root: Path
    seed: int = 1

    def experiments(self) -> Iterator[Experiment]:
        """The runs, in order: all architectures on one data path, then on the other."""
        paths: tuple[DataPath, ...] = (
            ("async", "blocking") if self.data_paths == "both" else (self.data_paths,)
        )
        for data_path in paths:
            for architecture in self.architectures:
                yield Experiment(
                    architecture=architecture,
                    matrix=self.matrix,
                    data_path=data_path,
                    scenario=self.scenario,
                    prices=self.prices,
                    directory=self.directory / f"{architecture.name}-{data_path}",
                    name=self.name,
                    root=self.root,
                    seed=self.seed,
                )


def run(
    comparison: Comparison,
    watch: Callable[[Experiment], AbstractContextManager[Watcher | None]] = lambda _: nullcontext(),
    keep: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Carry out a comparison.

    Args:
        comparison: what to compare.
        watch: is entered for each run, and gives who is told how it goes.
        keep: is given after each run what there is until then, so that a later failure costs nothing of it.

    Raises:
        LabError: a lab did not come up, or a process of it ended by itself.
        BenchError: the load could not be put on it.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    found: dict[DataPath, dict[str, ArchitectureResult]] = {"async": {}, "blocking": {}}
    trials = list(comparison.experiments())
    for number, trial in enumerate(trials, 1):
        with watch(trial) as watcher:
            measured = (
                experiment.run(trial, watcher.step, watcher.progress) if watcher else experiment.run(trial)
            )
        found[trial.data_path][trial.architecture.name] = measured
        missing = [f"{each.architecture.name} ({each.data_path})" for each in trials[number:]]
        result = _result(comparison, found, started_at, missing)
        keep(result)
    return result


def _result(
    comparison: Comparison,
    found: Mapping[DataPath, dict[str, ArchitectureResult]],
    started_at: str,
    missing: list[str],
) -> Result:
    both = comparison.data_paths == "both"
    return Result(
        schema=SCHEMA,
        architectures=dict(found["blocking"] if comparison.data_paths == "blocking" else found["async"]),
        blocking=dict(found["blocking"]) if both else {},
        missing=missing,
        run=Run(
            users=comparison.scenario.users,
            ramp_s=comparison.scenario.ramp_s,
            duration_s=comparison.scenario.duration_s,
            matrix=comparison.matrix.name,
            data_path=comparison.data_paths,
            home=comparison.architectures[0].home,
            started_at=started_at,
            machine=machine(),
            version=version("isochrone"),
            command=comparison.command,
            seed=comparison.seed,
            prices=comparison.prices.as_of,
        ),
    )


def machine() -> str:
    """What a comparison ran on, in a line."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} CPUs, {memory_gib:.0f} GiB, {platform.system()} {platform.release()}"
