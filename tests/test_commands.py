"""The commands under one name: each is there, says what it is for, and loads what it needs only."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from isochrone import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_says_what_it_is_for(name: str) -> None:
    listed = CliRunner().invoke(app, [], env={"COLUMNS": "200"}).output.splitlines()
    (line,) = [line for line in listed if line.startswith(f"│ {name} ")]
    assert line.strip("│ ").removeprefix(name).strip()
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_a_command_that_is_not_there_is_refused_with_the_one_that_was_meant() -> None:
    refused = CliRunner().invoke(app, ["cmpare"])
    assert refused.exit_code == 2
    assert "Did you mean 'compare'?" in refused.output


def test_who_looks_at_a_lab_does_not_wait_for_the_libraries_of_aws() -> None:
    look = "import sys, isochrone; isochrone.app(['lab', '--help'], standalone_mode=False)"
    look += "; print({'boto3', 'pulumi', 'pulumi_aws'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
