"""Who may come in."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from market.commands import SettingsFile, loaded
from market.settings import MarketError
from market.tokens import ADMIN, BANK, FEED, USER, signer_of

TOKEN_TTL_S: Final = 900
"""Of a single token: short enough that losing one does little harm."""


def tokens(
    settings: SettingsFile,
    users: Annotated[int, typer.Option(min=0, help="For how many users.")],
    ttl_s: Annotated[int, typer.Option(min=1, help="How long the tokens hold (s).")],
) -> None:
    """Print a line `user-i<TAB>token` for each user."""
    signer = signer_of(loaded("tokens", settings))
    for index in range(users):
        user = f"user-{index}"
        sys.stdout.write(f"{user}\t{signer.issue(user, ttl_s)}\n")


def token(
    settings: SettingsFile,
    user: Annotated[str, typer.Argument(help="For whom.")],
    ttl_s: Annotated[int, typer.Option(min=1, help="How long the token holds (s).")] = TOKEN_TTL_S,
    admin: Annotated[bool, typer.Option("--admin", help="With the scope of operators.")] = False,
    feed: Annotated[bool, typer.Option("--feed", help="With the scope of who tells events.")] = False,
    bank: Annotated[
        bool, typer.Option("--bank", help="With the scope of who adds the user's money.")
    ] = False,
) -> None:
    """Print a token for one user."""
    signer = signer_of(loaded("token", settings))
    scopes = [ADMIN] * admin + [FEED] * feed + [BANK] * bank
    sys.stdout.write(signer.issue(named(user), ttl_s, scopes=scopes) + "\n")


def named(user: str) -> str:
    """The user that an argument names.

    Raises:
        MarketError: when it names none.
    """
    if not USER.fullmatch(user):
        raise MarketError(f"{user!r} names no user: letters, digits, - and _, 64 at most")
    return user
