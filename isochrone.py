"""The command line: the commands of the lab and the benchmark under one name."""

from __future__ import annotations

from typing import Final

import typer

from ami import commands as image_commands
from bench import commands as bench_commands
from fleet import commands as fleet_commands
from infra import price_commands, sql_commands
from infra.commands import preview
from lab import audit_commands, verify_command
from lab import commands as lab_commands
from lab.compare_command import compare

app: Final = typer.Typer(
    name="isochrone",
    help="Where do the servers and the data of a real-time application go?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(compare)
app.add_typer(lab_commands.app, name="lab", help="Run one architecture on this machine.")
app.add_typer(audit_commands.app, name="audit", help="Read the audit log of a lab's service.")
app.command()(preview)
app.add_typer(fleet_commands.app, name="fleet", help="Put the load on a stack on AWS.")
app.add_typer(image_commands.app, name="image", help="Publish the machine image.")
app.add_typer(price_commands.app, name="prices", help="Write today's prices beside the stack files.")
app.add_typer(sql_commands.app, name="sql", help="Promote or restore a SQL server on AWS.")
app.add_typer(verify_command.app, name="verify", help="Check what runs against what it promises.")
app.command("meters")(bench_commands.meters)
app.command("report")(bench_commands.report)


def main() -> None:
    """Run the command that the arguments name."""
    app()
