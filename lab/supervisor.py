"""Starts again what has ended, as systemd does on the machine image."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from lab.site import Process, Site

RESTART_S: Final[Mapping[str, float]] = {
    "api": 1.0,
    "ledger": 2.0,
    "resolver": 2.0,
    "feed": 2.0,
    "redis": 1.0,
    "mariadb": 2.0,
    "nginx": 1.0,
}
"""How long after its end a process is started again: `RestartSec` of the image's units."""

_OTHERS_RESTART_S: Final = 1.0
_HELD_S: Final = 0.05
"""How often one that is held back is looked at."""


class Supervisor:
    """Watches a lab's processes from `__enter__` to `__exit__`; what is left of one that ended is ended too.

    Args:
        site: starts them again.
        processes: the lab's; a process that was started again takes the place of the one that ended.
    """

    def __init__(self, site: Site, processes: list[Process]) -> None:
        self._site = site
        self._processes = processes
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._woken, self._wake = os.pipe()
        self._held: set[tuple[str, str]] = set()
        self._defect: BaseException | None = None

    @contextmanager
    def held(self, processes: Iterable[Process]) -> Iterator[None]:
        """Keeps the processes, of which each may end within it, from being started again until it ends."""
        names = {(process.machine.name, process.name) for process in processes}
        self._held |= names
        try:
            yield
        finally:
            self._held -= names

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._wake)
        self._thread.join()
        os.close(self._woken)
        if self._defect is not None and error is None:
            raise self._defect

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException as error:
            self._defect = error

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN | select.POLLHUP)
        handles = {self._handle(poll, process): index for index, process in enumerate(self._processes)}
        due: list[tuple[float, int]] = []
        try:
            while True:
                wait_ms = max(0.0, due[0][0] - time.monotonic()) * 1000 + 1 if due else None
                for descriptor, _ in poll.poll(wait_ms):
                    if descriptor == self._woken:
                        return
                    poll.unregister(descriptor)
                    os.close(descriptor)
                    index = handles.pop(descriptor)
                    due.append((time.monotonic() + self._end_rest(self._processes[index]), index))
                due.sort()
                now_s = time.monotonic()
                while due and due[0][0] <= now_s:
                    index = due.pop(0)[1]
                    process = self._processes[index]
                    if (process.machine.name, process.name) in self._held:
                        due.append((time.monotonic() + _HELD_S, index))
                        continue
                    started = self._site.start_again(process)
                    self._processes[index] = started
                    handles[self._handle(poll, started)] = index
        finally:
            for descriptor in handles:
                os.close(descriptor)

    @staticmethod
    def _handle(poll: select.poll, process: Process) -> int:
        """Watches a process; one that has been waited for already cannot be."""
        handle = os.pidfd_open(process.popen.pid)
        poll.register(handle, select.POLLIN)
        return handle

    @staticmethod
    def _end_rest(process: Process) -> float:
        """Ends what the process started and left behind; how long to wait before it is started again (s)."""
        with suppress(ProcessLookupError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
        return RESTART_S.get(process.name.partition("-")[0], _OTHERS_RESTART_S)
