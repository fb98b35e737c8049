"""The process that pays."""

from __future__ import annotations

from typing import Annotated

import typer

from market.commands import SettingsFile, loaded, stopped
from market.resolver import Resolver


def resolver(
    settings: SettingsFile,
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing is left to do.")] = False,
) -> None:
    """Decide pools by what happens in the matches, and pay them out, until SIGTERM."""
    Resolver(loaded("resolver", settings), stopped(), drain=drain).run()
