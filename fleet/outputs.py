"""What the engine says of a stack that is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
from msgspec import Struct, field

from fleet.errors import FleetError
from infra.site import Site

TIMEOUT_S = 120
"""How long the engine may take to read a stack's state."""


class Outputs(Struct, frozen=True):
    """The outputs of a stack that a run needs; the others are left out."""

    url: str
    load_bucket: str
    sql_hosts: dict[str, str] = field(default_factory=dict)


def read(site: Site, file: Path | None, project: Path) -> Outputs:
    """The outputs of a stack: of the engine, or in a file that has what the engine prints.

    Args:
        site: the stack, by its file.
        file: a file with the output of `pulumi stack output --json`; None asks the engine.
        project: the folder of the Pulumi project.

    Raises:
        FleetError: when they cannot be had, or are of another stack than its file describes.
    """
    text = file.read_bytes() if file else _ask(site.architecture.name, project)
    stack = site.architecture.name
    try:
        found = msgspec.json.decode(text, type=Outputs)
    except msgspec.DecodeError as error:
        if "load_bucket" in str(error):
            raise FleetError(
                f"{stack} is there without a load fleet: set isochrone:load and run `pulumi up -s {stack}`"
            ) from None
        raise FleetError(f"the outputs of {stack} are not those of an architecture: {error}") from None
    if found.url != (expected := f"wss://{site.play_name}/ws"):
        raise FleetError(
            f"{stack} is at {found.url} and its file says {expected}: use the file that it was made from"
        )
    return found


def _ask(stack: str, project: Path) -> bytes:
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        asked = subprocess.run(command, cwd=project, capture_output=True, check=False, timeout=TIMEOUT_S)
    except OSError as error:
        raise FleetError(f"`pulumi` cannot be run ({error}): install it, or give --outputs FILE") from error
    except subprocess.TimeoutExpired as error:
        raise FleetError(f"`{' '.join(command)}` has not ended after {TIMEOUT_S} s") from error
    if asked.returncode != 0:
        why = asked.stderr.decode(errors="replace").strip() or f"status {asked.returncode}"
        raise FleetError(f"`{' '.join(command)}` failed: {why}")
    return asked.stdout
