"""What came of the faults, as values: the JSON of a run, and the thresholds that set the exit status."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

from lab.faults.verifier import Verdict

SCHEMA: Final = 1

_TEXTS: Final = ("fault", "what happens", "result")
"""The columns that hold no figures."""


class Outcome(Struct, frozen=True):
    """What came of one fault.

    Args:
        fault: its name.
        what: what happened, for people.
        lasted_s: how long it was there (s), 0 for a momentary one.
        acknowledged: the predictions acknowledged from its beginning to the proof.
        repeated: of the receipts since then, those that answered a key that had been taken before.
        served_after_s: by region, how long after the fault's end (its beginning, when it was a moment or
            users had to be served while it lasted) the first prediction sent since then was acknowledged.
        connected_after_s: how long after that everyone was connected for good; none when they were not.
        drops: connections that ended.
        failures: attempts to connect that failed.
        resets: how often a client was told that pushes are gone for good.
        seen: what was seen of the fault itself.
        verdict: the proof, over everything since the lab came up; none when it could not be made.
        problem: what went wrong beside the proof; none when nothing did.
    """

    fault: str
    what: str
    lasted_s: float
    acknowledged: int = 0
    repeated: int = 0
    served_after_s: dict[str, float] = field(default_factory=dict)
    connected_after_s: float | None = None
    drops: int = 0
    failures: int = 0
    resets: int = 0
    seen: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    problem: str | None = None

    @property
    def recovery_s(self) -> float | None:
        """How long it took until predictions were acknowledged in every region that the fault concerned."""
        return max(self.served_after_s.values(), default=None)

    @property
    def passed(self) -> bool:
        """Whether everything was as it has to be."""
        return self.problem is None and self.verdict is not None and self.verdict.holds


class Run(Struct, frozen=True):
    """A run: the load, and what came of each fault.

    `offered_per_s` is how many predictions all users together place in a second while they are served.
    """

    command: str
    architecture: str
    matrix: str
    started_at: str
    users: int
    offered_per_s: float
    seed: int
    outcomes: list[Outcome]
    schema: int = SCHEMA

    @property
    def passed(self) -> bool:
        """Whether every fault was survived."""
        return all(outcome.passed for outcome in self.outcomes)


def encode(run: Run) -> bytes:
    """The run as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def table(run: Run) -> str:
    """The run as a table in Markdown."""
    heading = (
        "fault",
        "what happens",
        "acknowledged",
        "lost",
        "doubled",
        "served again after (s)",
        "all connected after (s)",
        "told of lost pushes",
        "result",
    )
    lines = [_row(heading), _row("---" if name in _TEXTS else "---:" for name in heading)]
    lines += [_row(_cells(outcome)) for outcome in run.outcomes]
    return "\n".join(lines) + "\n"


def _cells(outcome: Outcome) -> tuple[str, ...]:
    verdict = outcome.verdict
    lasting = f" for {outcome.lasted_s:g} s" if outcome.lasted_s else ""
    return (
        outcome.fault,
        outcome.what + lasting,
        f"{outcome.acknowledged:,}",
        str(verdict.lost) if verdict else "?",
        str(verdict.doubled) if verdict else "?",
        _seconds(outcome.recovery_s),
        _seconds(outcome.connected_after_s),
        str(outcome.resets),
        "survived" if outcome.passed else "FAILED",
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _row(cells: object) -> str:
    return "| " + " | ".join(cells) + " |"  # type: ignore[arg-type]
