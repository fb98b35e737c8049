"""The commands under each name: all are there, say what they are for, and load what they need only."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import isochrone
from market import cli

NAMED = [(isochrone.app, name) for name in isochrone.COMMANDS] + [(cli.app, name) for name in cli.COMMANDS]


@pytest.mark.parametrize(("app", "name"), NAMED)
def test_every_command_is_there_and_says_what_it_is_for(app: typer.Typer, name: str) -> None:
    listed = CliRunner().invoke(app, [], env={"COLUMNS": "200"}).output.splitlines()
    (line,) = [line for line in listed if line.startswith(f"│ {name} ")]
    assert line.strip("│ ").removeprefix(name).strip()
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_a_command_that_is_not_there_is_refused_with_the_one_that_was_meant() -> None:
    refused = CliRunner().invoke(isochrone.app, ["cmpare"])
    assert refused.exit_code == 2
    assert "Did you mean 'compare'?" in refused.output


@pytest.mark.parametrize(
    ("module", "command", "others"),
    [
        ("isochrone", "lab", {"boto3", "pulumi", "pulumi_aws"}),
        ("market.cli", "migrate", {"redis", "jwt", "websockets", "uvloop"}),
        ("market.cli", "ledger", {"jwt", "websockets", "uvloop"}),
    ],
)
def test_a_command_does_not_wait_for_the_libraries_of_others(
    module: str, command: str, others: set[str]
) -> None:
    look = f"import sys, {module}; {module}.app(['{command}', '--help'], standalone_mode=False)"
    look += f"; print({others} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
