"""The command `compare`: runs a comparison, shows it and writes it down."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bench import html, result, stored, table
from bench.bar import Bar, bars
from bench.failures import failures
from bench.result import Result
from bench.scenario import Scenario
from infra.prices import prices_2015
from infra.regions import matrix as matrix_named
from infra.stackfile import load
from infra.terminal import ERR, OUT, STACKS
from lab import comparison, hosts, lab
from lab.comparison import Comparison, DataPaths
from lab.experiment import Experiment
from lab.terminal import Name, Root, Stacks, reported, terminable

ARCHITECTURES = ("baseline", "geo-i", "geo-ii")
"""The architectures that are compared unless others are named."""

RESULT = "result.json"
REPORT = "report.html"


def compare(
    architectures: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARCH]...", help="Stacks to compare; all three when none is named."),
    ] = None,
    users: Annotated[int, typer.Option(min=1, max=24_000, help="Users over all eight regions.")] = 1200,
    ramp: Annotated[float, typer.Option(min=0, max=3600, help="Seconds over which they connect.")] = 15.0,
    duration: Annotated[
        float, typer.Option(min=1, max=21_600, help="Seconds at full load after that.")
    ] = 60.0,
    matrix: Annotated[str, typer.Option(help="Round trips between regions: 2017 or 2024.")] = "2017",
    data_path: Annotated[
        DataPaths, typer.Option(help="How the service calls its databases; blocking is the thesis's way.")
    ] = "async",
    out: Annotated[Path, typer.Option(help="Where result.json and report.html go.")] = Path("out/compare"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Fixes what every user does and when.")] = 1,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
    stacks: Stacks = STACKS,
) -> None:
    """Run architectures one after the other under the same load, and say which is better at what."""
    with reported():
        hosts.check_root()
    with reported(status=2):
        plan = Comparison(
            architectures=[load(stack, stacks) for stack in dict.fromkeys(architectures or ARCHITECTURES)],
            matrix=matrix_named(matrix),
            data_paths=data_path,
            scenario=Scenario(users=users, ramp_s=ramp, duration_s=duration),
            prices=prices_2015(),
            directory=out / "runs",
            command=shlex.join(["isochrone", *sys.argv[1:]]),
            name=name,
            root=root,
            seed=seed,
        )
        out.mkdir(parents=True, exist_ok=True)
        stored.set_aside(out / RESULT, out / REPORT)
    found = _run(plan, out)
    if as_json:
        sys.stdout.buffer.write(result.encode(found) + b"\n")
    else:
        table.show(found, OUT)
    ERR.print(f"Report: {out / REPORT}", markup=False, highlight=False, soft_wrap=True)
    if reasons := failures(found):
        for reason in reasons:
            ERR.print(f"FAILED {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def _run(plan: Comparison, out: Path) -> Result:
    """Carry the comparison out, with the result and the report in `out` after each of its runs."""

    def keep(found: Result) -> None:
        stored.save(found, out / RESULT)
        html.write(found, out / REPORT)

    try:
        with reported(), terminable(), _progress() as watch:
            return comparison.run(plan, watch, keep)
    except typer.Exit:
        if (out / RESULT).exists():
            ERR.print(
                f"What was measured until then: {out / RESULT}", markup=False, highlight=False, soft_wrap=True
            )
        raise


@contextmanager
def _progress() -> Iterator[Callable[[Experiment], AbstractContextManager[Bar]]]:
    with bars(ERR) as shown:

        @contextmanager
        def watch(trial: Experiment) -> Iterator[Bar]:
            title = f"{trial.architecture.name} ({trial.data_path})"
            bar = Bar(shown, title, trial.scenario.end_s)
            yield bar
            bar.done()

        yield watch
