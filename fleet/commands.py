"""`isochrone fleet run`: the load of a comparison on a stack on AWS, and what was measured."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import boto3
import typer
from rich.markup import escape

from bench import html, stored, table
from bench.bar import Bar, bars
from bench.errors import BenchError
from bench.failures import failures
from bench.result import Run
from bench.scenario import Scenario
from fleet import comparison, outputs
from fleet.board import Telling
from fleet.errors import FleetError
from fleet.run import Edges, FleetRun, run
from fleet.ssm import Ssm
from infra.architecture import Architecture, LoadFleet
from infra.errors import InfraError
from infra.prices import PriceList, present_prices, prices_2015
from infra.regions import matrix
from infra.site import Site
from infra.stackfile import load
from infra.terminal import ERR, OUT, STACKS
from lab.terminal import terminable

MATRIX: Final = "2024"
"""The round trips that say what the way alone costs: the newest that are known."""

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _commands() -> None:
    """The load fleet of a stack on AWS."""


@app.command("run")
def run_command(
    stack: Annotated[str, typer.Argument(help="A stack that is there, with a load fleet.")],
    *,
    outputs_file: Annotated[
        Path | None,
        typer.Option(
            "--outputs", help="What `pulumi stack output --json` printed; the engine is asked else."
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=1, max=1_000_000, help="Users over all regions.")] = 24_000,
    ramp: Annotated[float, typer.Option(min=0, max=3600, help="Seconds over which they connect.")] = 200.0,
    duration: Annotated[
        float, typer.Option(min=1, max=21_600, help="Seconds at full load after that.")
    ] = 600.0,
    out: Annotated[Path, typer.Option(help="Where result.json and report.html go.")] = Path("out/fleet"),
    seed: Annotated[int, typer.Option(help="Fixes what every user does and when.")] = 1,
    stacks: Annotated[Path, typer.Option(help="The directory of the Pulumi.<stack>.yaml files.")] = STACKS,
) -> None:
    """Put the load on a stack from the regions of its users, and add the result to the comparison in OUT.

    The thesis's load is 24,000 users, a ramp of 200 s and 5,400 s at full load.
    """
    with reported():
        site = Site(load(stack, stacks))
        scenario = Scenario(users=users, ramp_s=ramp, duration_s=duration)
        began = datetime.now(UTC)
        prices = present_prices(stacks) or prices_2015()
        told = _run(site.architecture, scenario, began, seed, prices)
        path = out / "result.json"
        if path.exists():
            comparison.check(path, stored.load(path), told)
        what = FleetRun(
            site=site,
            outputs=outputs.read(site, outputs_file, stacks),
            scenario=scenario,
            prices=prices,
            matrix=matrix(MATRIX),
            name=began.strftime("%Y%m%dT%H%M%SZ"),
            seed=seed,
        )
        out.mkdir(parents=True, exist_ok=True)
        with terminable(), bars(ERR) as shown:
            bar = Bar(shown, stack, scenario.end_s)
            found = run(what, Edges(client, Ssm(client)), Telling(bar.step, bar.progress))
            bar.done()
        compared = comparison.joined(path, stack, found, told)
        stored.save(compared, path)
        html.write(compared, out / "report.html")
    table.show(compared, OUT)
    ERR.print(f"Report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    if reasons := failures(compared):
        for reason in reasons:
            ERR.print(f"FAILED {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def _run(
    architecture: Architecture, scenario: Scenario, began: datetime, seed: int, prices: PriceList
) -> Run:
    fleet = architecture.load or LoadFleet()
    return Run(
        users=scenario.users,
        ramp_s=scenario.ramp_s,
        duration_s=scenario.duration_s,
        matrix="AWS",
        data_path="async",
        home=architecture.home,
        started_at=began.isoformat(timespec="seconds"),
        machine=f"{fleet.per_region} × {fleet.instance_type} in each of {len(fleet.regions)} regions",  # noqa: RUF001
        version=version("isochrone"),
        command=shlex.join(["isochrone", *sys.argv[1:]]),
        world="aws",
        seed=seed,
        prices=prices.as_of,
    )


@cache
def client(service: str, region: str) -> Any:
    """boto3's client of a service in a region, with the credentials of the environment."""
    return boto3.client(service, region_name=region)


@contextmanager
def reported() -> Iterator[None]:
    """Turns the project's errors into a message and status 2, never a traceback."""
    try:
        yield
    except (FleetError, InfraError, BenchError, OSError) as error:
        ERR.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        ERR.print("interrupted; the load machines were told to stop", highlight=False)
        raise typer.Exit(130) from None
