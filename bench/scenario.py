"""What a user does, as data: the scenario of the 2015 thesis, and its sizes."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Final

from msgspec import Struct

from bench.errors import ScenarioError

LIMIT_S: Final = 6 * 3600.0
"""The longest ramp and the longest duration: a run that is longer is a mistake."""


class Uniform(Struct, frozen=True):
    """A uniform distribution, both ends included."""

    low: float
    high: float


class Stakes(Struct, frozen=True):
    """The stakes, uniform between two amounts in minor units, both ends included."""

    low: int
    high: int


class Scenario(Struct, frozen=True):
    """The load of one run.

    The users connect evenly over the ramp. Each lists the games, waits, joins the game and lists its pools,
    then again and again waits and places a prediction, until `duration_s` after the ramp's end. The defaults
    of the waits are the thesis's (uniform 1-15 s and 1-30 s).

    Args:
        users: how many users there are, over all regions.
        ramp_s: the time over which they connect (s).
        duration_s: the time at full load, from the ramp's end (s).
        join_wait_s: between connecting and joining the game (s).
        place_wait_s: between joining and the first prediction, and between predictions (s).
        stakes: the amount of a prediction.
        game: the game that everybody joins.
        pool: the pool in which everybody predicts.
        options: how many options the pool has.
        max_outstanding: the requests of one user that may wait for an answer; more are dropped and counted.
        linger_s: how long everybody stays after the last prediction, at least, to receive what was published
            until then (s).

    Raises:
        ScenarioError: with all the values that make no sense.
    """

    users: int
    ramp_s: float
    duration_s: float
    join_wait_s: Uniform = Uniform(1, 15)
    place_wait_s: Uniform = Uniform(1, 30)
    stakes: Stakes = Stakes(100, 1000)
    game: str = "match-1"
    pool: str = "winner"
    options: int = 3
    max_outstanding: int = 64
    linger_s: float = 1.0

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ScenarioError(problems)

    @property
    def end_s(self) -> float:
        """When the last prediction may be placed, from the start (s)."""
        return self.ramp_s + self.duration_s

    @property
    def largest_spend(self) -> int:
        """The most that one user can stake in the whole run (minor units): a balance that always suffices."""
        return self.stakes.high * (int(self.end_s / self.place_wait_s.low) + 1)

    def _problems(self) -> Iterator[str]:
        for name, at_least in (("users", 1), ("options", 1), ("max_outstanding", 1)):
            if getattr(self, name) < at_least:
                yield f"{name} is {getattr(self, name)}, it must be at least {at_least}"
        for name in ("ramp_s", "duration_s", "linger_s"):
            value = getattr(self, name)
            if not (isfinite(value) and 0 <= value <= LIMIT_S):
                yield f"{name} is {value}, it must be between 0 and {LIMIT_S:.0f}"
        for name, lowest in (("join_wait_s", 0.0), ("place_wait_s", 0.01)):
            wait: Uniform = getattr(self, name)
            if not (isfinite(wait.high) and lowest <= wait.low <= wait.high):
                yield f"{name} is {wait.low} to {wait.high}, it must be an interval from {lowest} up"
        if not 1 <= self.stakes.low <= self.stakes.high:
            yield f"stakes is {self.stakes.low} to {self.stakes.high}, it must be an interval from 1 up"
        for name in ("game", "pool"):
            if not getattr(self, name):
                yield f"{name} is empty"
