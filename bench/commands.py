"""The commands of the benchmark: `meters FILE` and `report RESULT.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from bench import html, meter_file, stored, table
from bench.errors import BenchError
from bench.result import Result

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _commands() -> None:
    """Meters and reports of comparisons that were run."""


@app.command()
def meters(
    file: Annotated[Path, typer.Argument(help="JSON with any of crum, spm, slm and cost_per_hour.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Work out the scalability meters of a file of inputs.

    The file is an object with any of these parts. A number in the place of
    a part is that meter's value.

    "crum": {"cpu", "memory", "disk"}, in percent

    "spm": {"broadcast_ms", "request_ms", "handshake_ms",
    "network_in_bytes", "network_out_bytes"}, the network per minute

    "slm": {"connections", "requests", "redis_hits", "redis_misses",
    "mysql_queries"}; the meter is in units of 10^12

    "cost_per_hour", in dollars

    Any input may be {"min", "avg", "max"} instead of a number. The least
    performance is that of the longest latencies with the least network: of
    latencies and of the cost, the minimum of a meter takes the larger of
    min and max, its maximum the smaller.

    sec follows when all four parts are there, ess and esr when min and max
    are.
    """
    try:
        found = meter_file.compute(meter_file.load(file))
    except meter_file.InputError as error:
        fail(error.mistakes, status=2)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, allow_nan=False) + "\n")
    else:
        Console().print(table.meters(found))


@app.command()
def report(
    result: Annotated[Path, typer.Argument(help="The result.json of a comparison.")],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file to write; report.html beside the result otherwise.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the comparison as this PNG, 1,200 pixels wide.")
    ] = None,
) -> None:
    """Print a comparison as tables and write its report as one HTML file."""
    target = out or result.parent / "report.html"
    try:
        comparison = stored.load(result)
        html.write(comparison, target)
        if picture:
            _draw(comparison, picture)
    except BenchError as error:
        fail([str(error)], status=2)
    console = Console()
    table.show(comparison, console)
    console.print(f"Report: {target}", soft_wrap=True, highlight=False, markup=False)


def _draw(comparison: Result, path: Path) -> None:
    from bench.picture import summary_png  # noqa: PLC0415 (its library takes longer to load than a command)

    try:
        summary_png(comparison, path)
    except OSError as error:
        raise BenchError(f"{path}: cannot be written: {error.strerror or error}") from None


def fail(messages: tuple[str, ...] | list[str], *, status: int) -> NoReturn:
    """Print what is wrong on standard error and leave with that status."""
    for message in messages:
        sys.stderr.write(f"{message}\n")
    raise typer.Exit(status)
