"""Runs the programs that the build is made of."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ami.errors import AmiError

_SHOWN_LINES: Final = 40
_PROGRAM_TIMEOUT_S: Final = 900.0


class BuildError(AmiError):
    """The image cannot be built; the message says what to do."""


@dataclass
class Clock:
    """How long each step of a build took (s), in the order of the steps."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what is done inside under `name`."""
        began = time.monotonic()
        yield
        self.steps[name] = time.monotonic() - began


def run(
    argv: Sequence[str | Path],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a program and return what it wrote.

    Args:
        argv: the program and its arguments.
        log: a file that its output is appended to as well.
        env: variables beside those of this process.
        cwd: where it runs.

    Raises:
        BuildError: when it is not there, fails or takes too long, with the end of its output.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PROGRAM_TIMEOUT_S,
            check=False,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    except FileNotFoundError:
        raise BuildError(f"there is no {words[0]} on this machine; run ami/build/install") from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"`{words[0]}` has not ended after {_PROGRAM_TIMEOUT_S:g} s") from None
    if log is not None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {' '.join(words)}\n{done.stdout}")
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-_SHOWN_LINES:])
        raise BuildError(f"`{' '.join(words[:4])}` failed with status {done.returncode}:\n{end}")
    return done.stdout
