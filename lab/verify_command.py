"""`isochrone verify`: does what runs keep its promises?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bench.consistency import differences
from infra.terminal import ERR, OUT
from lab import hosts, lab
from lab.consistency import views
from lab.terminal import Name, Root, reported

app = typer.Typer(help="Check what runs against what it promises.", no_args_is_help=True)


@app.callback()
def verify() -> None:
    """Check what runs against what it promises."""


@app.command()
def consistency(
    game: Annotated[str, typer.Option(help="Whose pushes.")] = "match-1",
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
) -> None:
    """Ask every API process which pushes it has, and report any difference in their order (status 1)."""
    with reported(2):
        hosts.check_root()
        seen = views(root.absolute() / name, game)
    table = Table(box=None, pad_edge=False)
    for heading in ("process", "region", "epoch", "offset", "kept"):
        table.add_column(heading, justify="right" if heading in ("epoch", "offset", "kept") else "left")
    for view in seen:
        table.add_row(view.process, view.region, str(view.epoch), str(view.offset), str(len(view.pushes)))
    OUT.print(table)
    found = differences(seen)
    for difference in found:
        ERR.print(f"[red]{difference.process}[/red] {difference.message}", highlight=False)
    if found:
        raise typer.Exit(1)
    OUT.print(f"The {len(seen)} processes agree on one order.")
