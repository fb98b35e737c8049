"""The coordinator and its workers: the common start, and every way in which a worker may fail."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench import coordinator, outcome, plan
from bench.coordinator import Board, argv
from bench.errors import BenchError, WorkerError
from bench.events import Progress
from bench.load import Load
from bench.plan import Plan
from bench.scenario import Scenario, Uniform
from tests.bench.market_server import Market, market_server

SHORT = Scenario(
    users=4,
    ramp_s=0.2,
    duration_s=0.5,
    join_wait_s=Uniform(0, 0.1),
    place_wait_s=Uniform(0.1, 0.2),
    linger_s=0,
)
LONG = Scenario(users=4, ramp_s=0.2, duration_s=120)


async def start(*command: str) -> Process:
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)


@dataclass
class Workers:
    """Starts workers and remembers their processes."""

    command: Callable[[Plan, Path], list[str]] = field(default=lambda _, path: argv(path))
    processes: list[Process] = field(default_factory=list)

    async def __call__(self, part: Plan, path: Path) -> Process:
        process = await start(*self.command(part, path))
        self.processes.append(process)
        return process

    def have_ended(self) -> bool:
        return all(process.returncode is not None for process in self.processes)


def plans(market: Market, directory: Path, scenario: Scenario) -> list[Plan]:
    tokens = directory / "tokens"
    tokens.write_text("".join(f"user-{n}\ttoken-of-user-{n}\n" for n in range(scenario.users)))
    return plan.divide(
        ["here", "there"],
        scenario,
        url=market.url,
        ca_file=market.ca_file,
        tokens_file=tokens,
        directory=directory,
    )


def run(
    certificate: tuple[Path, Path],
    directory: Path,
    workers: Workers,
    *,
    scenario: Scenario = SHORT,
    during: Callable[[asyncio.Task[Load], Market], Awaitable[None]] | None = None,
) -> tuple[Load, Market]:
    async def whole() -> tuple[Load, Market]:
        async with market_server(certificate) as market:
            running = asyncio.Event()
            task = asyncio.create_task(
                coordinator.run(
                    plans(market, directory, scenario), workers, directory, lambda _: running.set()
                )
            )
            if during:
                waiting = asyncio.create_task(running.wait())
                await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                await during(task, market)
            return await task, market

    return asyncio.run(whole())


def test_nobody_starts_before_the_last_worker_is_ready_and_all_start_at_once(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    def command(part: Plan, path: Path) -> list[str]:
        slow = ["sh", "-c", 'sleep 1; exec "$@"', "sh"]
        return [*(slow if part.region == "there" else []), *argv(path)]

    load, market = run(certificate, tmp_path, Workers(command))
    started_us = {
        outcome.read(tmp_path / f"{region}.outcome.json").started_us for region in ("here", "there")
    }
    assert len(started_us) == 1
    assert min(market.connections.values()) >= load.started_at_s
    assert load.users.connected == 4


def test_a_worker_that_dies_at_the_start_is_reported_with_what_it_said(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    dying = [sys.executable, "-c", "import sys; sys.exit('no more room')"]
    workers = Workers(lambda part, path: dying if part.region == "there" else argv(path))
    with pytest.raises(WorkerError, match=r"of there ended with status 1 .* no more room"):
        run(certificate, tmp_path, workers)
    assert workers.have_ended()


def test_a_plan_that_a_worker_cannot_use_is_reported_in_its_words(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    workers = Workers(lambda _, path: argv(path.with_name("none.json")))
    with pytest.raises(WorkerError, match=r"Cannot read the plan .*none\.json"):
        run(certificate, tmp_path, workers)
    assert workers.have_ended()


def test_a_worker_that_is_killed_ends_the_run_and_the_other_workers(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    workers = Workers()

    async def kill(*_: object) -> None:
        workers.processes[1].kill()

    with pytest.raises(WorkerError, match=r"of there ended with status -9 before it was done"):
        run(certificate, tmp_path, workers, scenario=LONG, during=kill)
    assert workers.have_ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_interrupted_leaves_what_it_has_and_the_run_is_no_result(
    certificate: tuple[Path, Path], tmp_path: Path, number: signal.Signals
) -> None:
    workers = Workers()

    async def interrupt(*_: object) -> None:
        for process in workers.processes:
            process.send_signal(number)

    with pytest.raises(WorkerError, match="interrupted in here, there"):
        run(certificate, tmp_path, workers, scenario=LONG, during=interrupt)
    assert [process.returncode for process in workers.processes] == [0, 0]
    left = outcome.read(tmp_path / "here.outcome.json")
    assert not left.complete
    assert left.connected == 2


def test_a_cancelled_run_ends_its_workers(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    workers = Workers()

    async def cancel(task: asyncio.Task[Load], _: Market) -> None:
        task.cancel()

    with pytest.raises(asyncio.CancelledError):
        run(certificate, tmp_path, workers, scenario=LONG, during=cancel)
    assert workers.have_ended()


def test_a_worker_whose_coordinator_is_gone_ends_by_itself(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    async def whole() -> int:
        async with market_server(certificate) as market:
            part, _ = plans(market, tmp_path, LONG)
            plan.write(part, tmp_path / "plan.json")
            process = await start(*argv(tmp_path / "plan.json"))
            assert process.stdin
            assert process.stdout
            await process.stdout.readline()
            process.stdin.write(b'{"start_at_s": 0}\n')
            await process.stdout.readline()
            process.stdout._transport.close()  # type: ignore[attr-defined]
            return await asyncio.wait_for(process.wait(), 20)

    assert asyncio.run(whole()) == 1


def test_a_worker_that_speaks_out_of_turn_is_reported(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    workers = Workers(lambda *_: ["sh", "-c", "echo hello; exec cat"])
    with pytest.raises(WorkerError, match="said 'hello'"):
        run(certificate, tmp_path, workers)
    assert workers.have_ended()


def test_a_worker_that_cannot_be_started_is_reported(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="Cannot start the load worker of here"):
        run(certificate, tmp_path, Workers(lambda *_: [str(tmp_path / "missing")]))


def test_an_outcome_of_an_earlier_run_is_not_taken_for_one_of_this(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    run(certificate, tmp_path, Workers())
    says_done = 'echo \'{"event":"ready"}\'; read start; echo \'{"event":"done"}\''
    with pytest.raises(WorkerError, match=r"left no outcome in .*here\.outcome\.json"):
        run(certificate, tmp_path, Workers(lambda *_: ["sh", "-c", says_done]))


def test_a_run_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="at least one plan"):
        asyncio.run(coordinator.run([], coordinator.spawn_here, tmp_path))


def test_the_board_passes_on_the_sum_when_every_worker_has_reported_again() -> None:
    def progress(at_s: float, connected: int, lag_ms: float, phase: str = "load") -> Progress:
        return Progress(phase, at_s, 10, connected, 1, 2, 3, 4, 5, 6, lag_ms)

    passed: list[Progress] = []
    board = Board(2, passed.append)
    board.report("a", progress(1.0, 3, 7))
    assert len(passed) == 0
    board.report("b", progress(0.9, 4, 1, "ramp"))
    assert passed == [Progress("ramp", 0.9, 20, 7, 2, 4, 6, 8, 10, 12, 7)]
    board.report("b", progress(1.9, 5, 1))
    board.report("a", progress(2.0, 6, 1))
    assert [sum_.connected for sum_ in passed] == [7, 11]
