"""One load generator: `python -m bench.worker PLAN.json` runs the users of one region.

It says when it is ready, starts when it is told, reports its progress once a second on standard output and
writes its outcome at the end (`bench.events` has the lines). SIGTERM or SIGINT end it early with what it has.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import uvloop
from websockets.exceptions import InvalidHandshake

from bench import outcome, plan
from bench.agenda import Agenda
from bench.client import Connection, Target, reason
from bench.errors import BenchError, PlanError
from bench.events import Done, Progress, Ready, decode_start, line
from bench.outcome import Outcome, Position
from bench.plan import CLOSE_TIMEOUT_S, SPARE_DESCRIPTORS, Plan
from bench.schedule import Action, Kind, schedule
from bench.tally import Tally
from bench.user import Setting, User

PROGRESS_S: Final = 1.0
POLL_S: Final = 0.05


class Worker:
    """The users of one plan, from the start to the outcome.

    Raises:
        PlanError: when the plan's files cannot be used.
    """

    def __init__(self, plan_: Plan) -> None:
        self._plan = plan_
        self._tally = Tally()
        target = _target(plan_)
        setting = Setting(plan_.scenario, plan_.seed, self._tally)
        self._users = {
            number: User(name, partial(Connection, target, token), setting)
            for number, (name, token) in zip(plan_.members, plan.tokens(plan_), strict=True)
        }
        self._connecting: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._defect: BaseException | None = None
        self._phase = "ramp"
        self._start_ns = 0
        self._offset_ns = 0

    def stop(self) -> None:
        """End early, with what there is."""
        self._stop.set()

    async def run(self, start_at_s: float) -> Outcome:
        """Carry out the plan from this time on (seconds since 1970), and answer what was measured."""
        scenario = self._plan.scenario
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._start_ns = int(start_at_s * 1e9) - self._offset_ns
        self._tally.until_us = self._us(self._ns(scenario.end_s))
        actions = schedule(scenario, self._plan.seed, self._users)
        agenda = Agenda(actions, self._start_ns, self._perform)
        agenda.start()
        reporting = asyncio.create_task(self._report())
        try:
            await self._until(scenario.ramp_s)
            gc.collect()
            gc.freeze()
            self._phase = "load"
            await self._until(scenario.end_s)
            if not self._stop.is_set():
                agenda.finish()
            self._phase = "drain"
            ended_us = self._us(min(time.monotonic_ns(), self._ns(scenario.end_s)))
            await self._drain(ended_us)
            complete = not self._stop.is_set()
            positions = self._positions()
            await self._leave()
        finally:
            agenda.stop()
            reporting.cancel()
        if self._defect is not None:
            raise self._defect
        return self._tally.outcome(
            self._plan,
            positions,
            started_us=self._us(self._start_ns),
            ended_us=ended_us,
            complete=complete,
            cpu_s=time.process_time(),
        )

    def _ns(self, at_s: float) -> int:
        return self._start_ns + int(at_s * 1e9)

    def _us(self, monotonic_ns: int) -> int:
        return (monotonic_ns + self._offset_ns) // 1000

    async def _until(self, at_s: float) -> None:
        """Wait for a time after the start, or to be stopped."""
        while (remaining_s := (self._ns(at_s) - time.monotonic_ns()) / 1e9) > 0:
            try:
                await asyncio.wait_for(self._stop.wait(), remaining_s)
            except TimeoutError:
                continue
            return

    def _perform(self, action: Action, intended_ns: int, now_ns: int) -> None:
        self._tally.late((now_ns - intended_ns) // 1000)
        user = self._users[action.user]
        if action.kind is Kind.CONNECT:
            task = asyncio.get_running_loop().create_task(self._connect(user, now_ns))
            self._connecting.add(task)
            task.add_done_callback(self._connected)
        elif action.kind is Kind.JOIN:
            user.join(intended_ns)
        else:
            user.place(action, intended_ns)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._defect = error
            self.stop()

    async def _connect(self, user: User, called_ns: int) -> None:
        try:
            await user.connect(called_ns, self._plan.handshake_timeout_s)
        except (OSError, InvalidHandshake) as error:
            self._fail(reason(error))
        except asyncio.CancelledError:
            self._fail("connect:unfinished")
            raise

    def _fail(self, why: str) -> None:
        self._tally.failed += 1
        self._tally.errors[why] += 1

    async def _drain(self, ended_us: int) -> None:
        """Wait for what is under way, at least the scenario's linger time, at most the drain timeout."""
        linger_until_s = time.monotonic() + self._plan.scenario.linger_s
        await _within(
            self._plan.drain_timeout_s,
            lambda: self._stop.is_set() or (time.monotonic() >= linger_until_s and self._is_quiet(ended_us)),
        )

    def _is_quiet(self, ended_us: int) -> bool:
        if self._tally.outstanding or self._connecting:
            return False
        latest = self._tally.latest(ended_us)
        return all(
            user.positions.get(pool, last) >= last
            for user in self._users.values()
            if user.is_open
            for pool, last in latest.items()
        )

    def _positions(self) -> list[Position]:
        places: Counter[tuple[str, int, int]] = Counter()
        pool = self._plan.scenario.pool
        for user in self._users.values():
            if user.is_open and user.joined:
                places.update((name, *place) for name, place in user.positions.items())
                if pool not in user.positions:
                    places[pool, 0, 0] += 1
        return [Position(*place, count) for place, count in sorted(places.items())]

    async def _leave(self) -> None:
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        now_ns = time.monotonic_ns()
        for user in self._users.values():
            user.close(now_ns)
        await _within(CLOSE_TIMEOUT_S, lambda: not any(user.is_connected for user in self._users.values()))
        for user in self._users.values():
            user.abort()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            tally = self._tally
            progress = Progress(
                phase=self._phase,
                at_s=round((time.monotonic_ns() - self._start_ns) / 1e9, 3),
                users=self._plan.users,
                connected=tally.opened - tally.lost,
                failed=tally.failed,
                lost=tally.lost,
                requests=tally.requests,
                broadcasts=tally.received,
                errors=tally.errors.total(),
                outstanding=tally.outstanding,
                lag_ms=tally.worst_lag_ms(),
            )
            try:
                _say(line(progress))
            except BrokenPipeError:
                self.stop()
                return


async def _within(timeout_s: float, is_done: Callable[[], bool]) -> None:
    until_s = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() >= until_s:
            return
        await asyncio.sleep(POLL_S)


def allow_sockets(users: int) -> None:
    """Raise this process's descriptor limit to what the users need.

    Raises:
        PlanError: when the hard limit is lower.
    """
    needed = users + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in {resource.RLIM_INFINITY} and needed > hard:
        raise PlanError(
            f"{users} users need {needed} descriptors and the limit of a process is {hard}: "
            "use fewer users, or raise `ulimit -Hn`."
        )
    if needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def run(path: Path) -> None:
    """Carry out the plan in a file, talking to the coordinator on standard input and output.

    Raises:
        BenchError: when the plan cannot be used, or the start does not come.
    """
    plan_ = plan.read(path)
    allow_sockets(plan_.users)
    worker = Worker(plan_)
    gc.collect()
    gc.freeze()
    _say(line(Ready()))
    start_at_s = _start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome.write(runner.run(_carry_out(worker, start_at_s)), Path(plan_.outcome_file))
    _say(line(Done()))


async def _carry_out(worker: Worker, start_at_s: float) -> Outcome:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    return await worker.run(start_at_s)


def _start() -> float:
    text = sys.stdin.buffer.readline()
    try:
        return decode_start(text).start_at_s
    except msgspec.DecodeError as error:
        raise BenchError('The start did not come: a line such as {"start_at_s": 1700000000.0}.') from error


def _say(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _target(plan_: Plan) -> Target:
    try:
        return Target(plan_.url, plan_.ca_file)
    except (OSError, ValueError) as error:
        raise PlanError(f"Cannot use {plan_.url} with the authority {plan_.ca_file}: {error}.") from error


def main() -> int:
    """The command; its status is 0, or 1 with a message on standard error."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m bench.worker PLAN.json\n")
        return 2
    try:
        run(Path(sys.argv[1]))
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:
        sys.stderr.write("The coordinator is gone.\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
