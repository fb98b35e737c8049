"""What the machine does to itself: files, programs and units, behind a protocol that tests stand in for."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from ami.errors import AmiError

SYSTEMCTL_S: Final = 120.0
"""How long a unit may take to start or to end."""


class ProgramError(AmiError):
    """A program of the machine failed."""


@dataclass(frozen=True)
class File:
    """A file to write; `text` may be a secret and is not in its representation."""

    path: Path
    text: str = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Directory:
    """A directory to make."""

    path: Path
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it wrote."""

    status: int
    output: str


class Run(Protocol):
    """Runs a program to its end."""

    def __call__(self, argv: Sequence[str], timeout_s: float = SYSTEMCTL_S) -> Done:
        """How it ended; a program that is not there or takes too long has a status that is not 0."""


def run(argv: Sequence[str], timeout_s: float = SYSTEMCTL_S) -> Done:
    """Run a program to its end; see `Run`."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done(124, f"has not ended after {timeout_s:g} s")
    except OSError as error:
        return Done(127, error.strerror or str(error))
    return Done(done.returncode, done.stdout.strip())


def must(runner: Run, argv: Sequence[str], timeout_s: float = SYSTEMCTL_S) -> str:
    """What a program writes.

    Raises:
        ProgramError: when it fails; the message has the end of what it wrote.
    """
    done = runner(argv, timeout_s)
    if done.status != 0:
        raise ProgramError(f"`{' '.join(argv)}` failed ({done.status}): {done.output[-500:]}")
    return done.output


Chown = Callable[[Path, str, str], None]


def chown(path: Path, owner: str, group: str) -> None:
    """Give a path to an account and a group.

    Raises:
        ProgramError: when the machine has no such account.
    """
    try:
        shutil.chown(path, owner, group)
    except LookupError:
        raise ProgramError(f"this image has no account {owner}:{group}; build it anew") from None


@dataclass(frozen=True)
class Disk:
    """Where files are written: below `root`, which is `/` on a machine."""

    root: Path = Path("/")
    give: Chown = chown

    def at(self, path: Path) -> Path:
        """Where a path of the machine is."""
        return self.root / path.relative_to("/")

    def make(self, directory: Directory) -> None:
        """Make a directory and its parents; one that is there gets the owner and the rights."""
        path = self.at(directory.path)
        path.mkdir(parents=True, exist_ok=True)
        self.give(path, directory.owner, directory.group)
        path.chmod(directory.mode)

    def write(self, file: File) -> None:
        """Write a file in one step: a reader finds the whole file or the one before."""
        path = self.at(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(file.text)
            self.give(temporary, file.owner, file.group)
            temporary.chmod(file.mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
