"""Blocks are sent several at a time, and the first failure ends it."""

from __future__ import annotations

from threading import Barrier, Event, Lock

import pytest

from ami.publish.parallel import each


def test_everything_is_done_once_and_told_once() -> None:
    done: list[int] = []
    told: list[int] = []
    each(range(50), done.append, parallel=4, on_done=told.append, stop=Event())
    assert sorted(done) == sorted(told) == list(range(50))


def test_as_many_are_under_way_as_are_allowed_and_no_more() -> None:
    together, lock = Barrier(3, timeout=10), Lock()
    running, most = 0, 0

    def do(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    each(range(9), do, parallel=3, on_done=lambda _: None, stop=Event())
    assert most == 3


def test_after_the_first_failure_nothing_is_begun() -> None:
    stop, begun, told = Event(), list[int](), list[int]()

    def do(item: int) -> None:
        begun.append(item)
        if item == 0:
            raise ValueError("the first one fails")
        # What is under way when another fails is finished.
        assert stop.wait(10)

    with pytest.raises(ValueError, match="the first one fails"):
        each(range(100), do, parallel=4, on_done=told.append, stop=stop)
    assert set(begun) <= {0, 1, 2, 3}
    assert set(told) == set(begun) - {0}


def test_there_may_be_nothing_to_do() -> None:
    done: list[int] = []
    each((), done.append, parallel=2, on_done=done.append, stop=Event())
    assert not done
