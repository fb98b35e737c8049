"""A command line whose commands are loaded when they are asked for: each waits for its own libraries only."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def group(name: str, commands: Mapping[str, str], about: str) -> typer.Typer:
    """A command line.

    Args:
        name: what it is called by.
        commands: each command, or group of commands, and where it is: `module:attribute`, the attribute a
            function or a `typer.Typer`.
        about: what its help says first.
    """

    class Group(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**{**settings, "commands": _Commands(commands)})

    app = typer.Typer(
        name=name,
        cls=Group,
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # With a callback of its own it stays a group, however many commands it has.
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    pass


class _Commands(UserDict[str, Any]):
    """The commands by their names, each made of what is said of it when it is looked up first."""

    def __init__(self, places: Mapping[str, str]) -> None:
        super().__init__()
        self._places = places
        self.data = dict.fromkeys(places)

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            module, _, attribute = self._places[name].partition(":")
            self.data[name] = _command(name, getattr(import_module(module), attribute))
        return self.data[name]


def _command(name: str, found: Any) -> Any:
    if isinstance(found, typer.Typer):
        made = typer.main.get_group(found)
        made.name = name
        return made
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)
