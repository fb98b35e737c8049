"""A run: a lab under load, one fault after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.architecture import Architecture
from infra.regions import RttMatrix
from lab.faults.actions import Fault
from lab.faults.load import Load
from lab.faults.outcome import Outcome, Run
from lab.faults.trial import STEADY_TIMEOUT_S, trial
from lab.lab import NAME, ROOT, Lab
from lab.supervisor import Supervisor

SPARE_ACCOUNTS: Final = 200
"""Accounts beside the load's, for clients without manners."""

RENEW_AFTER: Final = 100_000
"""Predictions after which the next fault gets a new lab, since the journal's disk is small."""


@dataclass(frozen=True)
class Drill:
    """What is to be run.

    Args:
        architecture: what faults are put on.
        matrix: the round trips.
        users: of the load, over all regions.
        every_s: each places a prediction every so many seconds on average.
        seed: of the load.
        directory: where the clients' records go.
        command: what was typed, for the result.
        name: the lab's.
        root: where its state goes.
    """

    architecture: Architecture
    matrix: RttMatrix
    users: int
    every_s: float
    seed: int
    directory: Path
    command: str
    name: str = NAME
    root: Path = ROOT


def run(
    drill: Drill,
    faults: Iterable[Fault],
    *,
    on_step: Callable[[str], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    until_s: float | None = None,
) -> Run:
    """Puts the faults on one lab, in turn; after one that was not survived the next gets a new lab.

    Args:
        drill: what to run them on.
        faults: which.
        on_step: is told what is being done.
        on_outcome: is told what came of each fault.
        until_s: when (`time.monotonic`) no further fault is begun, for a list without end.

    Raises:
        LabError: when a lab does not come up.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    drill.directory.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    remaining = iter(faults)
    fault = _next(remaining, until_s)
    while fault is not None:
        with ExitStack() as stack:
            lab, supervisor, load = _prepare(drill, stack, len(outcomes), on_step)
            before: Outcome | None = None
            while fault is not None:
                outcome = trial(lab, supervisor, load, fault, before, on_step)
                outcomes.append(outcome)
                on_outcome(outcome)
                fault = _next(remaining, until_s)
                if not outcome.passed or (outcome.verdict and outcome.verdict.acknowledged > RENEW_AFTER):
                    break
                before = outcome
    return Run(
        command=drill.command,
        architecture=drill.architecture.name,
        matrix=drill.matrix.name,
        started_at=started_at,
        users=drill.users,
        offered_per_s=round(drill.users / drill.every_s, 1),
        seed=drill.seed,
        outcomes=outcomes,
    )


def _prepare(
    drill: Drill, stack: ExitStack, number: int, on_step: Callable[[str], None]
) -> tuple[Lab, Supervisor, Load]:
    lab = stack.enter_context(
        Lab.up(
            drill.architecture,
            drill.matrix,
            name=drill.name,
            root=drill.root,
            users=drill.users + SPARE_ACCOUNTS,
            breakable=True,
            on_step=on_step,
        )
    )
    supervisor = stack.enter_context(lab.supervised())
    records = drill.directory / f"records-{number}.jsonl"
    load = stack.enter_context(
        Load(lab, users=drill.users, every_s=drill.every_s, seed=drill.seed, records=records)
    )
    on_step("waiting for the users")
    load.wait_until("the users were not connected", lambda history: history.complete, STEADY_TIMEOUT_S)
    return lab, supervisor, load


def _next(faults: Iterable[Fault], until_s: float | None) -> Fault | None:
    if until_s is not None and time.monotonic() >= until_s:
        return None
    return next(iter(faults), None)
