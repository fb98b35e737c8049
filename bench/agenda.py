"""Doing things at their intended times, with one timer for all users."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from bench.schedule import Action

_ROUND_UP_S: Final = 0.0005
"""The event loop's timers round to the nearest millisecond; with this nothing is done too early."""


class Agenda:
    """Performs the actions of a schedule, none before its time, all that are due in one turn.

    Args:
        actions: in the order of their times.
        origin_ns: what the actions' times count from (`time.monotonic_ns`).
        perform: is given each action, its intended time and the time now (`time.monotonic_ns`).
    """

    def __init__(
        self, actions: Iterator[Action], origin_ns: int, perform: Callable[[Action, int, int], None]
    ) -> None:
        self._actions = actions
        self._origin_ns = origin_ns
        self._perform = perform
        self._timer: asyncio.TimerHandle | None = None
        self._next = next(actions, None)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._turn()

    def finish(self) -> None:
        """Perform what is due and was not come to yet, and no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._turn()
        self.stop()

    def stop(self) -> None:
        """Perform no more."""
        self._next = None
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        now_ns = time.monotonic_ns()
        while (action := self._next) is not None:
            intended_ns = self._origin_ns + int(action.at_s * 1e9)
            if intended_ns > now_ns:
                delay_s = (intended_ns - now_ns) / 1e9 + _ROUND_UP_S
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._turn)
                return
            self._next = next(self._actions, None)
            self._perform(action, intended_ns, now_ns)
            now_ns = time.monotonic_ns()
