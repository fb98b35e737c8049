"""The command line: the commands of the lab, the benchmark and the cloud under one name.

The module of a command is loaded when the command is asked for: who looks at a lab need not wait for AWS's
libraries.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final[Mapping[str, str]] = {
    "compare": "lab.compare_command:compare",
    "lab": "lab.commands:app",
    "audit": "lab.audit_commands:app",
    "faults": "lab.faults.commands:app",
    "preview": "infra.commands:preview",
    "fleet": "fleet.commands:app",
    "image": "ami.commands:app",
    "prices": "infra.price_commands:app",
    "sql": "infra.sql_commands:app",
    "verify": "lab.verify_command:app",
    "meters": "bench.commands:meters",
    "report": "bench.commands:report",
}
"""Each command, or group of commands, and where it is."""


class _Commands(UserDict[str, Any]):
    """The commands by their names, each made of what `COMMANDS` says when it is looked up first."""

    def __init__(self) -> None:
        super().__init__()
        self.data = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            module, _, attribute = COMMANDS[name].partition(":")
            self.data[name] = _command(name, getattr(import_module(module), attribute))
        return self.data[name]


def _command(name: str, found: Any) -> Any:
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


class _Group(TyperGroup):
    """The group whose commands are loaded when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})


app: Final = typer.Typer(
    name="isochrone",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _isochrone() -> None:
    """Where do the servers and the data of a real-time application go?"""


def main() -> None:
    """Run the command that the arguments name."""
    app()
