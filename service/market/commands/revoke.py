"""Who may no longer come in."""

from __future__ import annotations

import logging
from typing import Annotated, Final

import typer

from market import revocations
from market.commands import SettingsFile, loaded
from market.commands.tokens import named

_log = logging.getLogger(__name__)

REVOKED_FOR_S: Final = 86_400
"""Longer than any token that was issued before is likely to hold."""


def revoke(
    settings: SettingsFile,
    user: Annotated[str, typer.Argument(help="Whom to shut out.")],
    for_s: Annotated[
        int, typer.Option("--for", min=0, help="For how many seconds; 0 lets the user in again.")
    ] = REVOKED_FOR_S,
) -> None:
    """Shut a user out everywhere: open connections are closed, new ones refused."""
    revocations.revoke(loaded("revoke", settings), named(user), for_s)
    _log.info("%s is shut out for %d s", user, for_s)
