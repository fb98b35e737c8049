"""Running one load worker per plan: a common start, the progress of all, their outcomes merged."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import PIPE, Process
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from sys import executable
from typing import Any, Final

import msgspec

from bench import outcome, plan
from bench.errors import BenchError, WorkerError
from bench.events import Done, Event, Progress, Ready, Start, decode_event, line
from bench.load import Load
from bench.measured import Measured, load_of
from bench.plan import Plan
from bench.saturation import SLICE_S, CpuTimes, busy, cpu_times, full_share

READY_TIMEOUT_S: Final = 60.0
LEAD_S: Final = 0.5
"""From the last worker's being ready to the start: all have read the line by then (s)."""

SPARE_S: Final = 30.0
"""What a worker may take beyond its plan's bound, to write its outcome on a busy machine (s)."""

STOP_TIMEOUT_S: Final = 15.0
TAIL_LINES: Final = 20

Spawn = Callable[[Plan, Path], Awaitable[Process]]
"""Starts the worker of a plan, whose file is given, with its three standard streams piped."""


async def spawn_here(_: Plan, path: Path) -> Process:
    """Start a worker as a process of this machine's own network."""
    return await asyncio.create_subprocess_exec(*argv(path), stdin=PIPE, stdout=PIPE, stderr=PIPE)


def argv(path: Path) -> list[str]:
    """The command of the worker whose plan is in this file."""
    return [executable, "-m", "bench.worker", str(path)]


async def run(
    plans: Sequence[Plan],
    spawn: Spawn,
    directory: Path,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Load:
    """Carry out the plans of one run, each by a worker of its own, and merge what they measured.

    Args:
        plans: one per region.
        spawn: starts a worker.
        directory: where the plans are written.
        on_progress: is told about once a second where all workers together are.

    Raises:
        BenchError: there is no plan, or a worker could not be started, ended before its time or was
            interrupted. All workers have ended then.
    """
    return load_of([await measure(plans, spawn, directory, on_progress)], plans[0].scenario.ramp_s)


async def measure(
    plans: Sequence[Plan],
    spawn: Spawn,
    directory: Path,
    on_progress: Callable[[Progress], None] = lambda _: None,
    agree: Callable[[], Awaitable[float]] | None = None,
) -> Measured:
    """Carry out the plans of this machine, each by a worker of its own.

    Args:
        plans: what the workers do.
        spawn: starts a worker.
        directory: where the plans are written.
        on_progress: is told about once a second where all workers together are.
        agree: is asked for the start (s since 1970) when every worker is ready, where it has to be agreed
            with other machines; otherwise all start at once.

    Raises:
        BenchError: as `run`, or the agreed start was over when it was known.
    """
    if not plans:
        raise BenchError("There is no load to run: give at least one plan.")
    async with _workers(plans, spawn, _prepare(plans, directory)) as workers:
        with _bounded("The load workers were not ready", READY_TIMEOUT_S) as limit:
            async with limit:
                await _all(worker.ready() for worker in workers)
        start_at_s = time.time() + LEAD_S if agree is None else await agree()
        now_s = time.time()
        if start_at_s < now_s:
            late_s = now_s - start_at_s
            raise WorkerError(
                f"The agreed start was over {late_s:.1f} s before it was known: set the clocks right."
            )
        cpu = asyncio.create_task(_watch_cpu(plans[0], start_at_s))
        board = Board(len(plans), on_progress)
        bound_s = start_at_s - now_s + max(plan_.longest_s for plan_ in plans) + SPARE_S
        try:
            with _bounded("The load workers had not ended", bound_s) as limit:
                async with limit:
                    await _all(worker.carry_out(start_at_s, board) for worker in workers)
            outcomes = [outcome.read(Path(plan_.outcome_file)) for plan_ in plans]
            if interrupted := [
                plan_.name for plan_, found in zip(plans, outcomes, strict=True) if not found.complete
            ]:
                raise WorkerError(f"The load was interrupted in {', '.join(interrupted)}: run it again.")
            times = await cpu
        finally:
            cpu.cancel()
    ramped = bisect_left(times, plans[0].scenario.ramp_s, hi=len(times) - 1, key=lambda sample: sample[0])
    cpu_s = [sample for _, sample in times]
    phases = {"ramp": busy(cpu_s[0], cpu_s[ramped]), "load": busy(cpu_s[ramped], cpu_s[-1])}
    return Measured(outcomes, busy(cpu_s[0], cpu_s[-1]), phases, full_share(cpu_s))


class Board:
    """Adds up the progress of several workers, and passes it on when each has reported once more."""

    def __init__(self, workers: int, on_progress: Callable[[Progress], None]) -> None:
        self._workers = workers
        self._on_progress = on_progress
        self._latest: dict[str, Progress] = {}
        self._fresh: set[str] = set()

    def report(self, worker: str, progress: Progress) -> None:
        """A worker reported its progress."""
        self._latest[worker] = progress
        self._fresh.add(worker)
        if len(self._fresh) == self._workers:
            self._fresh.clear()
            self._on_progress(together(list(self._latest.values())))


def together(parts: Sequence[Progress]) -> Progress:
    """The progress of several workers as one: sums, the earliest phase and the worst lag."""
    first = min(parts, key=lambda part: part.at_s)
    return Progress(
        phase=first.phase,
        at_s=first.at_s,
        users=sum(part.users for part in parts),
        connected=sum(part.connected for part in parts),
        failed=sum(part.failed for part in parts),
        lost=sum(part.lost for part in parts),
        requests=sum(part.requests for part in parts),
        broadcasts=sum(part.broadcasts for part in parts),
        errors=sum(part.errors for part in parts),
        outstanding=sum(part.outstanding for part in parts),
        lag_ms=max(part.lag_ms for part in parts),
    )


class RunningWorker:
    """A worker's process, and the talk with it."""

    def __init__(self, plan_: Plan, process: Process) -> None:
        self._name = plan_.name
        self._process = process
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._listening = asyncio.create_task(self._keep_tail())
        self._done = False

    async def ready(self) -> None:
        """Wait until it is ready to start."""
        event = await self._next()
        if not isinstance(event, Ready):
            raise WorkerError(f"The load worker of {self._name} began before it was told to.")

    async def carry_out(self, start_at_s: float, board: Board) -> None:
        """Have it start at this time (since 1970), and wait until it is done."""
        assert self._process.stdin  # noqa: S101
        self._process.stdin.write(line(Start(start_at_s)))
        with suppress(ConnectionError):
            await self._process.stdin.drain()
        while not isinstance(event := await self._next(), Done):
            if isinstance(event, Progress):
                board.report(self._name, event)
        self._done = True

    async def end(self) -> None:
        """Have its process end: by itself when it is done, else by SIGTERM, and in time by SIGKILL."""
        if self._process.stdin:
            self._process.stdin.close()
        if not self._done:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listening.cancel()

    async def _next(self) -> Event:
        assert self._process.stdout  # noqa: S101
        text = await self._process.stdout.readline()
        if not text:
            raise await self._died()
        try:
            return decode_event(text)
        except msgspec.DecodeError as error:
            said = text.decode(errors="replace").strip()
            raise WorkerError(f"The load worker of {self._name} said {said!r}: {error}.") from error

    async def _died(self) -> WorkerError:
        status = await self._process.wait()
        await self._listening
        tail = "".join(self._tail).strip() or "It wrote nothing to standard error."
        return WorkerError(
            f"The load worker of {self._name} ended with status {status} before it was done. {tail}"
        )

    async def _keep_tail(self) -> None:
        assert self._process.stderr  # noqa: S101
        async for text in self._process.stderr:
            self._tail.append(text.decode(errors="replace"))


def _prepare(plans: Sequence[Plan], directory: Path) -> list[Path]:
    """Write the plans, and make sure that no outcome of an earlier run is taken for one of this."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for plan_ in plans:
        Path(plan_.outcome_file).unlink(missing_ok=True)
        paths.append(directory / f"{plan_.name}.plan.json")
        plan.write(plan_, paths[-1])
    return paths


@asynccontextmanager
async def _workers(
    plans: Sequence[Plan], spawn: Spawn, paths: Sequence[Path]
) -> AsyncIterator[list[RunningWorker]]:
    running: list[RunningWorker] = []
    try:
        for plan_, path in zip(plans, paths, strict=True):
            try:
                running.append(RunningWorker(plan_, await spawn(plan_, path)))
            except OSError as error:
                raise WorkerError(f"Cannot start the load worker of {plan_.name}: {error}.") from error
        yield running
    finally:
        await asyncio.gather(*(worker.end() for worker in running))


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; when one fails, the others are given up and its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch_cpu(plan_: Plan, start_at_s: float) -> list[tuple[float, CpuTimes]]:
    """The machine's CPU time from the start to the end of the load, each with its time since the start."""
    times = []
    at_s = 0.0
    while True:
        await asyncio.sleep(max(start_at_s + at_s - time.time(), 0))
        times.append((at_s, cpu_times()))
        if at_s >= plan_.scenario.end_s:
            return times
        at_s = min(at_s + SLICE_S, plan_.scenario.end_s)


@contextmanager
def _bounded(what: str, bound_s: float) -> Iterator[asyncio.Timeout]:
    limit = asyncio.timeout(bound_s)
    try:
        yield limit
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise WorkerError(f"{what} within {bound_s:.0f} s: see what the machine is busy with.") from error
