"""A market to begin with."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from market import seed as seeding
from market.commands import SettingsFile, loaded

_log = logging.getLogger(__name__)


def seed(
    settings: SettingsFile,
    users: Annotated[int, typer.Option(min=0, help="How many accounts.")],
    balance: Annotated[int, typer.Option(min=0, help="What each account has, in minor units.")],
) -> None:
    """Replace what is in Redis by one live game with one open pool, and accounts."""
    epoch = seeding.seed(loaded("seed", settings), users, balance)
    _log.info("seeded %d accounts in epoch %d", users, epoch)
