"""The record of a lab's processes, and how they are ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lab.errors import WorldError

FILE: Final = "processes.jsonl"
"""The record's name in the lab's state directory: one line per process that was started."""

_ROUNDS: Final = 20
_KILL_TIMEOUT_S: Final = 5.0


class Record(Struct, frozen=True):
    """A process that was started.

    `started` is its start time in clock ticks since boot, which tells it from a later one of the same number.
    """

    host: str
    process: str
    pid: int
    started: int


def started(pid: int) -> int | None:
    """The start time of the process in clock ticks since boot (proc(5), field 22); none when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def command(pid: int) -> str:
    """The name of the program that the process runs; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def record(directory: Path, host: str, process: str, pid: int) -> None:
    """Adds a process to the record."""
    line = msgspec.json.encode(Record(host, process, pid, started(pid) or 0)) + b"\n"
    with (directory / FILE).open("ab", buffering=0) as file:
        file.write(line)


def recorded(directory: Path) -> list[Record]:
    """The processes on record, oldest first; a line that a crash cut off is left out."""
    records = []
    with suppress(FileNotFoundError):
        for line in (directory / FILE).read_bytes().splitlines():
            with suppress(msgspec.DecodeError):
                records.append(msgspec.json.decode(line, type=Record))
    return records


def end(find: Callable[[], Iterable[int]], grace_s: float) -> None:
    """Ends all processes that `find` finds, until it finds none.

    Args:
        find: the processes that are there now; asked again after every step, since they may start others.
        grace_s: how long they may take after SIGTERM before SIGKILL, in seconds.

    Raises:
        WorldError: when some do not end even so.
    """
    deadline = time.monotonic() + grace_s
    for _ in range(_ROUNDS):
        pids = set(find()) - {os.getpid()}
        if not pids:
            return
        _signal(pids, find, signal.SIGTERM, deadline)
        if time.monotonic() >= deadline:
            break
    for _ in range(_ROUNDS):
        pids = set(find()) - {os.getpid()}
        if not pids:
            return
        _signal(pids, find, signal.SIGKILL, time.monotonic() + _KILL_TIMEOUT_S)
    raise WorldError(f"the processes {', '.join(map(str, sorted(pids)))} do not end; look at them with ps")


def _signal(
    pids: set[int], find: Callable[[], Iterable[int]], number: signal.Signals, deadline: float
) -> None:
    """Signals the processes that are still what `find` finds, and waits until they have ended."""
    with ExitStack() as stack:
        handles = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                handles[pid] = os.pidfd_open(pid)
                stack.callback(os.close, handles[pid])
        poll = select.poll()
        waiting = set()
        still = set(find())
        for pid, handle in handles.items():
            if pid in still:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                poll.register(handle, select.POLLIN)
                waiting.add(handle)
        while waiting and (left := deadline - time.monotonic()) > 0:
            for handle, _ in poll.poll(left * 1000):
                poll.unregister(handle)
                waiting.discard(handle)
