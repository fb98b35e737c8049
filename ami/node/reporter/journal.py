"""The journal of the machine, followed by journalctl as a child process."""

from __future__ import annotations

import math
import os
import select
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.log_events import FIELDS

PROGRAM: Final = ("journalctl",)
LEVEL: Final = "info"
"""The least level that is followed."""

MOST_LINE_BYTES: Final = 1_048_576
"""Of an entry as journalctl writes it; of a longer one nothing is read."""

_READ_BYTES: Final = 65_536
_STDERR_BYTES: Final = 500


class JournalError(MeasuringError):
    """The journal cannot be followed at present."""


class Lines:
    """What the child writes, by lines.

    Args:
        child: journalctl.
        stdout: its output.
        complaints: the file that its standard error is.
    """

    def __init__(self, child: subprocess.Popen[bytes], stdout: IO[bytes], complaints: IO[bytes]) -> None:
        self._child = child
        self._complaints = complaints
        self._descriptor = stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._rest = b""
        self._skips = False
        self.too_long = 0

    def read(self, within_s: float | None) -> Sequence[bytes]:
        """The next whole lines; none when the time is over first, or only a part of one has come.

        Args:
            within_s: how long to wait (s); None for as long as it takes.

        Raises:
            JournalError: when the child has ended.
        """
        if not self._poll.poll(None if within_s is None else max(0, math.ceil(within_s * 1000))):
            return ()
        data = os.read(self._descriptor, _READ_BYTES)
        if not data:
            raise JournalError(self._why())
        first, *others = data.split(b"\n")
        if not others:
            self._keep(self._rest + first)
            return ()
        whole = [] if self._skips else [self._rest + first]
        self._skips = False
        self._rest = b""
        self._keep(others[-1])
        return [line for line in (*whole, *others[:-1]) if line]

    def _keep(self, beginning: bytes) -> None:
        """Keep the beginning of a line; of one that is too long the rest is skipped."""
        if len(beginning) > MOST_LINE_BYTES:
            self._skips = True
            self.too_long += 1
        self._rest = b"" if self._skips else beginning

    def _why(self) -> str:
        self._child.wait()
        self._complaints.seek(0)
        said = self._complaints.read(_STDERR_BYTES).decode(errors="replace").split("\n")[0].strip()
        return f"journalctl has ended ({self._child.returncode}): {said or 'it does not say why'}"


class Journal:
    """Follows the journal, with one child at a time.

    Args:
        directory: where its files are; None for the machine's own.
        program: what follows it.
    """

    def __init__(self, directory: Path | None = None, program: Sequence[str] = PROGRAM) -> None:
        self._directory = directory
        self._program = program
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ended = False

    @contextmanager
    def following(self, cursor: str | None) -> Iterator[Lines]:
        """The entries after a cursor, and those to come; all that there are without one.

        Raises:
            JournalError: when journalctl cannot be started.
        """
        with tempfile.TemporaryFile() as complaints:
            child = self._start(cursor, complaints)
            with child:
                try:
                    if child.stdout is not None:
                        yield Lines(child, child.stdout, complaints)
                finally:
                    child.kill()

    def end(self) -> None:
        """End the child, whatever it is doing, and start none any more."""
        with self._lock:
            self._ended = True
            if self._child is not None:
                self._child.kill()

    def _start(self, cursor: str | None, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise JournalError("the journal is followed no more")
            try:
                self._child = subprocess.Popen(
                    self.argv(cursor), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
                )
            except OSError as error:
                raise JournalError(f"cannot start {self._program[0]}: {error.strerror}") from error
            return self._child

    def argv(self, cursor: str | None) -> list[str]:
        """How journalctl is called.

        With `--follow` it leaves out what earlier boots have written, unless `--merge` is given.
        It ends by itself when nobody reads it any more, so that none outlives a reporter that is killed.
        """
        return [
            *self._program,
            *("--quiet", "--follow", "--no-tail", "--merge", f"--priority={LEVEL}", "--all"),
            *("--output=json", f"--output-fields={','.join(FIELDS)}"),
            *([f"--directory={self._directory}"] if self._directory else []),
            *([f"--after-cursor={cursor}"] if cursor else []),
        ]
