"""`isochrone prices`: writes today's prices beside the stack files, where the preview finds them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.progress import track

from infra.price_offers import questions
from infra.price_refresh import RefreshError, pricing_client, refresh
from infra.prices import PRICE_FILE
from infra.terminal import ERR, OUT, STACKS, reported

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def prices() -> None:
    """The prices that costs are made of."""


@app.command("refresh")
def refresh_command(
    *,
    out: Annotated[Path, typer.Option(help="The file to write.")] = STACKS / PRICE_FILE,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Write what there is when something has no price.")
    ] = False,
) -> None:
    """Ask AWS what everything costs today, and write it down. Needs credentials that may ask for prices."""
    with reported():
        asked = track(questions(), description="asking AWS's price list", console=ERR, transient=True)
        found = refresh(pricing_client(), datetime.now(UTC).date(), asked)
        data = found.data if incomplete else found.complete()
        try:
            out.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise RefreshError(f"{out} cannot be written: {error.strerror}") from error
    for what in found.missing:
        ERR.print(f"no price: {escape(what)}", highlight=False, soft_wrap=True)
    OUT.print(f"{escape(str(out))}: prices of {data['as_of']}", highlight=False, soft_wrap=True)
