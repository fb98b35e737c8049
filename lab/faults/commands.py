"""`isochrone faults`: put faults on a lab under load and prove that nothing is lost."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from infra.regions import matrix as matrix_named
from infra.stackfile import load as load_stack
from infra.terminal import ERR, OUT, STACKS
from lab import lab, topology
from lab.faults import catalogue, outcome, schedule
from lab.faults.actions import Fault
from lab.faults.outcome import Outcome
from lab.faults.run import Drill, run
from lab.terminal import Name, Root, Stacks, reported, terminable

app = typer.Typer(
    help="Break parts of a lab under load, and prove that nothing is lost.", no_args_is_help=True
)

Architecture = Annotated[str, typer.Option("--stack", help="The stack that faults are put on.")]
Matrix = Annotated[str, typer.Option("--matrix", help="Round trips between regions: 2017 or 2024.")]
Users = Annotated[int, typer.Option(min=8, max=2000, help="Users over all regions.")]
Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between a user's predictions.")]
Out = Annotated[Path, typer.Option(help="Where the result, the table and the clients' records go.")]
Names = Annotated[list[str] | None, typer.Option("--fault", help="A fault by name; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")]


@app.command("list")
def list_faults() -> None:
    """Say which faults there are."""
    table = Table(box=None, pad_edge=False)
    for heading in ("fault", "suite", "lasts (s)", "what happens"):
        table.add_column(heading, overflow="fold")
    for fault in (*catalogue.FAULTS, *catalogue.STANDBY_FAULTS):
        lasts = f"{fault.lasts_s:g}" if fault.lasts_s else "-"
        suite = "ha" if fault in catalogue.STANDBY_FAULTS else "short" if fault.short else "all"
        table.add_row(fault.name, suite, lasts, fault.what)
    OUT.print(table)


@app.command("run")
def run_faults(
    suite: Annotated[
        catalogue.Suite, typer.Option(help="short (every change), all, or ha (Redis with standbys).")
    ] = "short",
    faults: Names = None,
    *,
    stack: Architecture = "geo-ii",
    matrix: Matrix = "2017",
    users: Users = 160,
    every_s: Every = 2.0,
    seed: Annotated[int, typer.Option(help="Fixes what every user chooses.")] = 1,
    out: Out = Path("out/faults"),
    as_json: AsJson = False,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
    stacks: Stacks = STACKS,
) -> None:
    """Put a suite of faults on one lab, one after the other, and prove after each."""
    with reported(status=2):
        drill = _drill(stack, matrix, users, every_s, seed, out, name, root, stacks)
        drill, chosen = _chosen(drill, suite, faults or ())
    _carry_out(drill, chosen, out, as_json=as_json)


@app.command()
def soak(
    duration_s: Annotated[
        float, typer.Option("--duration", min=1, help="Seconds after which no fault is begun any more.")
    ] = 3600.0,
    seed: Annotated[int, typer.Option(help="Fixes the faults and what every user chooses.")] = 1,
    faults: Names = None,
    *,
    stack: Architecture = "geo-ii",
    matrix: Matrix = "2017",
    users: Users = 160,
    every_s: Every = 2.0,
    out: Out = Path("out/soak"),
    as_json: AsJson = False,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
    stacks: Stacks = STACKS,
) -> None:
    """Put random faults on one lab for a given time, and prove after each."""
    with reported(status=2):
        drill = _drill(stack, matrix, users, every_s, seed, out, name, root, stacks)
        drill, chosen = _chosen(drill, "all", faults or ())
    until_s = time.monotonic() + duration_s
    _carry_out(drill, schedule.soak(chosen, seed), out, as_json=as_json, until_s=until_s)


def _drill(
    stack: str,
    matrix: str,
    users: int,
    every_s: float,
    seed: int,
    out: Path,
    name: str,
    root: Path,
    stacks: Path,
) -> Drill:
    return Drill(
        architecture=load_stack(stack, stacks),
        matrix=matrix_named(matrix),
        users=users,
        every_s=every_s,
        seed=seed,
        directory=out,
        command=shlex.join(["isochrone", *sys.argv[1:]]),
        name=name,
        root=root,
    )


def _chosen(drill: Drill, suite: catalogue.Suite, names: Sequence[str]) -> tuple[Drill, tuple[Fault, ...]]:
    """The faults of these names or the suite, and what they are run on: with standbys if one needs them."""
    if catalogue.needs_standbys(suite, names):
        drill = replace(drill, architecture=catalogue.with_standbys(drill.architecture))
    places = topology.topology(drill.architecture, drill.matrix)
    return drill, catalogue.named(names, places) if names else catalogue.suite(suite, places)


def _carry_out(
    drill: Drill, faults: Iterable[Fault], out: Path, *, as_json: bool, until_s: float | None = None
) -> None:
    """Runs the faults, shows and writes what came of them, and sets the exit status."""
    with reported(), terminable(), ERR.status("") as status:

        def tell(found: Outcome) -> None:
            ERR.print(_line(found), markup=False, highlight=False, soft_wrap=True)

        result = run(drill, faults, on_step=status.update, on_outcome=tell, until_s=until_s)
    with reported():
        (out / "result.json").write_bytes(outcome.encode(result))
        (out / "table.md").write_text(outcome.table(result), encoding="utf-8")
    if as_json:
        sys.stdout.buffer.write(outcome.encode(result))
    else:
        OUT.print(
            f"{result.users} users, {result.offered_per_s:g} predictions a second, {result.architecture}\n",
            highlight=False,
        )
        OUT.print(outcome.table(result), markup=False, highlight=False, soft_wrap=True)
    if not result.passed:
        raise typer.Exit(1)


def _line(found: Outcome) -> str:
    """What came of a fault, in a line, and what was wrong, one line each."""
    recovery = "-" if found.recovery_s is None else f"{found.recovery_s:.1f} s"
    lines = [f"{'ok' if found.passed else 'FAILED':<7}{found.fault:<26}served again after {recovery}"]
    lines += [f"       {seen}" for seen in found.seen]
    if found.problem is not None:
        lines.append(f"  {found.problem}")
    if found.verdict is not None:
        lines += [f"  {problem}" for problem in found.verdict.problems]
    return "\n".join(lines)
