from __future__ import annotations

import asyncio
import time

import uvloop

from bench.agenda import Agenda
from bench.schedule import Action, Kind


def run(actions: list[Action], blocked_s: float = 0, stop_after: int = 100) -> list[tuple[int, float, float]]:
    """What was performed: user, intended and actual time after the start (s)."""

    async def whole() -> list[tuple[int, float, float]]:
        done: list[tuple[int, float, float]] = []
        finished = asyncio.Event()
        origin_ns = time.monotonic_ns()

        def perform(action: Action, intended_ns: int, now_ns: int) -> None:
            if not done:
                time.sleep(blocked_s)
            done.append((action.user, (intended_ns - origin_ns) / 1e9, (now_ns - origin_ns) / 1e9))
            if len(done) == stop_after:
                agenda.stop()
                asyncio.get_running_loop().call_later(0.1, finished.set)
            elif len(done) == len(actions):
                finished.set()

        agenda = Agenda(iter(actions), origin_ns, perform)
        agenda.start()
        await finished.wait()
        return done

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(whole())


def hold_up(seconds: float) -> None:
    time.sleep(seconds)


ACTIONS = [Action(0.02 * user, user, Kind.CONNECT) for user in range(10)]


def test_everything_is_done_in_order_and_nothing_too_early() -> None:
    done = run(ACTIONS)
    assert [user for user, _, _ in done] == list(range(10))
    assert all(actual >= intended for _, intended, actual in done)


def test_a_loop_that_is_held_up_catches_up_at_once_and_keeps_the_intended_times() -> None:
    done = run(ACTIONS, blocked_s=0.15)
    assert [round(intended, 6) for _, intended, _ in done] == [round(0.02 * n, 6) for n in range(10)]
    late = [actual for _, intended, actual in done if 0 < intended < 0.14]
    assert len(late) == 6
    assert min(late) >= 0.15
    assert max(late) - min(late) < 0.05


def test_what_a_late_loop_had_not_come_to_is_done_at_the_finish_and_nothing_that_is_not_due() -> None:
    async def whole() -> list[int]:
        done: list[int] = []
        agenda = Agenda(
            iter(ACTIONS), time.monotonic_ns(), lambda action, _intended, _now: done.append(action.user)
        )
        agenda.start()
        hold_up(0.11)
        agenda.finish()
        await asyncio.sleep(0.15)
        return done

    assert asyncio.run(whole()) == list(range(6))


def test_nothing_is_done_after_it_was_stopped() -> None:
    assert len(run(ACTIONS, stop_after=3)) == 3


def test_an_empty_schedule_is_done() -> None:
    Agenda(iter(()), 0, lambda *_: None).start()
