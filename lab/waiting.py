"""Waiting until a process serves: bounded, and ended early when the process dies."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lab.errors import LabError
from lab.files import tail

_Answer = TypeVar("_Answer")
_POLL_S: Final = 0.02


class NotReadyError(LabError):
    """A process did not serve in time or ended; the message has the end of its log."""


def until(
    what: str,
    attempt: Callable[[], _Answer | None],
    *,
    timeout_s: float,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> _Answer:
    """Asks again and again until `attempt` answers something, and returns that.

    `attempt` raises OSError or returns None while there is nothing yet.

    Raises:
        NotReadyError: when `timeout_s` has passed or `process` has ended.
    """
    deadline = time.monotonic() + timeout_s
    reason = "it gave no answer"
    while True:
        try:
            answer = attempt()
        except OSError as error:
            reason = str(error)
        else:
            if answer is not None:
                return answer
        end = f"; the end of its log:\n{tail(log)}" if log else ""
        if process is not None and process.poll() is not None:
            raise NotReadyError(f"{what} ended with status {process.returncode} while it started{end}")
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what} is not ready after {timeout_s:g} s: {reason}{end}")
        time.sleep(_POLL_S)
