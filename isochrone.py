"""The command line: the commands of the lab, the benchmark and the cloud under one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from market.command_group import group

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

app: Final = group("isochrone", COMMANDS, "Where do the servers and the data of a real-time application go?")


def main() -> None:
    """Run the command that the arguments name."""
    app()
