"""`isochrone audit`: what was asked of the service in a lab, and what became of it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lab import hosts, lab, states
from lab.errors import LabError
from lab.roles import service
from lab.terminal import Name, Root, reported

app = typer.Typer(help="Read the audit log of a lab's service.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `dump` a command of its own while it is the only one."""


@app.command()
def dump(
    user: Annotated[
        str | None, typer.Option(help="Whose, for instance user-0; without it everybody's.")
    ] = None,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
) -> None:
    """Print the audit log as lines of JSON, complete at this moment."""
    with reported():
        hosts.check_root()
        state = states.read(name, root)
        if state is None:
            raise LabError(f"there is no lab {name}: bring one up with `isochrone lab up geo-ii`")
        of_user = [] if user is None else ["--user", user]
        argv = service.reader_argv(state.name, state.topology, root.absolute() / name, "audit", *of_user)
        os.execvp(argv[0], argv)  # noqa: S606
