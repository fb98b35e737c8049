"""Previews a stack as an earlier commit has it: that commit's own program, in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from infra.errors import InfraError
from infra.prices import PRICE_FILE

TIMEOUT_S: Final = 120

_SHOWN: Final = 1500
"""How many characters of a failure are passed on: the last ones say what it was."""

_PREVIEW: Final = """
import typer
from infra.commands import preview
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(preview)
app()
"""


class EarlierError(InfraError):
    """A stack cannot be previewed as a commit has it; the message says why."""


def earlier_preview(ref: str, stack: str, config: Sequence[str], repository: Path) -> Mapping[str, Any]:
    """The preview's JSON of a stack as the commit `ref` of a repository has it.

    Empty when the commit has no such stack.

    Args:
        ref: a commit, branch or tag.
        stack: the stack's name.
        config: overrides of its configuration, each `KEY=VALUE`.
        repository: the checkout.

    Raises:
        EarlierError: when there is no such commit, or it has no preview, or refuses the stack.
    """
    # A reference may look like an option; a tree's name does not.
    tree = _git(ref, repository, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{tree}}").decode()
    archive = _git(ref, repository, "archive", "--format=tar", tree.strip())
    with TemporaryDirectory(prefix="isochrone-earlier-") as folder:
        root = Path(folder)
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(root, filter="data")
        if not (root / "infra" / "commands.py").is_file():
            raise EarlierError(f"{ref} is from before there was a preview; name a later commit")
        if not (root / f"Pulumi.{stack}.yaml").is_file():
            return {}
        _price_alike(repository, root)
        return _run(ref, stack, config, root)


def _git(ref: str, repository: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, check=False, timeout=TIMEOUT_S
        )
    except FileNotFoundError:
        raise EarlierError(f"{ref} cannot be looked at without git: install it") from None
    except subprocess.TimeoutExpired:
        raise EarlierError(f"git needed more than {TIMEOUT_S} s for {ref}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise EarlierError(f"{ref!r} is no commit of {repository}: {said}")
    return done.stdout


def _price_alike(now: Path, then: Path) -> None:
    """Gives a commit the price file of now, or none: what differs in cost is not the date of the prices."""
    (then / PRICE_FILE).unlink(missing_ok=True)
    if (now / PRICE_FILE).is_file():
        shutil.copyfile(now / PRICE_FILE, then / PRICE_FILE)


def _run(ref: str, stack: str, config: Sequence[str], root: Path) -> Mapping[str, Any]:
    overrides = [argument for pair in config for argument in ("--config", pair)]
    try:
        # Without -P the current directory, which has that commit's modules, is searched first.
        done = subprocess.run(
            [sys.executable, "-c", _PREVIEW, stack, "--json", "--stacks", str(root), *overrides],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise EarlierError(f"the preview of {stack} at {ref} took more than {TIMEOUT_S} s") from None
    if done.returncode:
        raise EarlierError(f"the preview of {stack} at {ref} failed: {done.stderr.strip()[-_SHOWN:]}")
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found
