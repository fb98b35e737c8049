"""The process that writes history."""

from __future__ import annotations

from typing import Annotated

import typer

from market.commands import SettingsFile, loaded, stopped
from market.ledger import Ledger


def ledger(
    settings: SettingsFile,
    drain: Annotated[bool, typer.Option("--drain", help="End when the journal is empty.")] = False,
) -> None:
    """Bring the journal to SQL until SIGTERM."""
    Ledger(loaded("ledger", settings), stopped(), drain=drain).run()
