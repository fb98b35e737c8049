"""When each user does what: fixed in advance by the seed, whatever the server does.

An open schedule: a slow server does not slow the arrivals, so a request's latency, counted from its intended
start, includes the time that it could not be sent. Nothing here reads a clock or keeps a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from heapq import merge
from typing import Final, NamedTuple

from bench.scenario import Scenario, Uniform

_MASK: Final = 2**64 - 1


class Kind(IntEnum):
    """What a user does at a time of its own; what follows at once from an answer is not scheduled."""

    CONNECT = 0
    JOIN = 1
    PLACE = 2


class Action(NamedTuple):
    """One intended action, `at_s` after the start; ordered by time.

    `number` counts the user's predictions from 0; `option` and `stake` (minor units) are the prediction's.
    """

    at_s: float
    user: int
    kind: Kind
    number: int = 0
    option: int = 0
    stake: int = 0


class Draw(IntEnum):
    """What a random number is used for, so that no two uses share one."""

    JOIN_WAIT = 0
    PLACE_WAIT = 1
    OPTION = 2
    STAKE = 3


def source(seed: int, user: int) -> int:
    """Where a user's random numbers come from."""
    return _mix(_mix(seed & _MASK) ^ user)


def draw(source_: int, number: int, use: Draw) -> float:
    """A number in [0, 1) that depends on nothing but its arguments: a user's source, and what it is for.

    Source and number are the finalizer of SplitMix64 (Steele, Lea and Flood 2014) over the arguments one
    after the other, so that no generator has to be kept per user.
    """
    return (_mix(source_ ^ (number << 2 | use)) >> 11) / 2**53


def connect_at_s(scenario: Scenario, user: int) -> float:
    """When a user connects: the users are spread evenly over the ramp, in the order of their numbers (s)."""
    return scenario.ramp_s * user / scenario.users


def timeline(scenario: Scenario, seed: int, user: int) -> Iterator[Action]:
    """All that one user does at a time of its own, in order."""
    own = source(seed, user)
    at_s = connect_at_s(scenario, user)
    yield Action(at_s, user, Kind.CONNECT)
    at_s += _between(scenario.join_wait_s, draw(own, 0, Draw.JOIN_WAIT))
    if at_s >= scenario.end_s:
        return
    yield Action(at_s, user, Kind.JOIN)
    number = 0
    while True:
        at_s += _between(scenario.place_wait_s, draw(own, number, Draw.PLACE_WAIT))
        if at_s >= scenario.end_s:
            return
        option = int(draw(own, number, Draw.OPTION) * scenario.options)
        spread = scenario.stakes.high - scenario.stakes.low + 1
        stake = scenario.stakes.low + int(draw(own, number, Draw.STAKE) * spread)
        yield Action(at_s, user, Kind.PLACE, number, option, stake)
        number += 1


def schedule(scenario: Scenario, seed: int, users: Iterable[int]) -> Iterator[Action]:
    """The actions of several users in the order of their times."""
    return merge(*(timeline(scenario, seed, user) for user in users))


def _between(wait: Uniform, fraction: float) -> float:
    return wait.low + (wait.high - wait.low) * fraction


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
