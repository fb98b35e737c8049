"""What a round does to each connection, by table and with a clock of ticks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from market.connection_settings import Limits
from market.protocol import CloseCode
from market.rounds import Rounds
from market.tokens import Identity

TICK_S = 0.5


@dataclass(eq=False)
class Seen:
    """A connection that remembers what was done to it."""

    is_subscribed: bool = True
    identity: Identity | None = None
    is_open: bool = True
    heard: bool = True
    told: bool = True
    silent_rounds: int = 0
    quiet_rounds: int = 0
    done: list[tuple[int, str]] = field(default_factory=list)
    now: int = 0

    def close(self, code: CloseCode, reason: str) -> None:
        self.done.append((self.now, code.name))
        self.is_open = False

    def ping(self) -> None:
        self.done.append((self.now, "ping"))


def run(connections: list[Seen], limits: Limits, ticks: int, expired: Iterable[int] = ()) -> None:
    """Let so many ticks go by; `expired` are users whose token has expired."""
    rounds = Rounds(limits, TICK_S, connections, lambda identity, grace_s: identity.user in map(str, expired))
    for now in range(ticks):
        for connection in connections:
            connection.now = now
        rounds.tick()


def within(seen: Seen, what: str, earliest_s: float, latest_s: float) -> bool:
    ((tick, done), *_) = seen.done
    return done == what and earliest_s <= tick * TICK_S <= latest_s


def test_a_connection_through_which_nothing_goes_is_pinged_now_and_then() -> None:
    quiet = Seen()
    run([quiet], Limits(keepalive_s=60), 2 * 400)
    assert within(quiet, "ping", 60, 75)
    assert 4 <= len(quiet.done) <= 6
    assert {done for _, done in quiet.done} == {"ping"}


def test_a_connection_that_is_sent_something_needs_no_ping() -> None:
    class Told(Seen):
        told = property(lambda self: True, lambda self, value: None)

    busy = Told()
    run([busy], Limits(keepalive_s=60), 2 * 400)
    assert busy.done == []


def test_who_joined_nothing_and_says_nothing_is_closed() -> None:
    idle, joined = Seen(is_subscribed=False), Seen()
    run([idle, joined], Limits(idle_timeout_s=100, keepalive_s=0), 2 * 300)
    assert within(idle, "IDLE", 100, 130)
    assert joined.done == []


def test_whose_token_expired_is_closed_and_nobody_else() -> None:
    connections = [Seen(identity=Identity(str(number), 0)) for number in range(3)]
    run([*connections, Seen()], Limits(expiry_grace_s=4), 8, expired=[1])
    assert [[done for _, done in seen.done] for seen in connections] == [[], ["UNAUTHENTICATED"], []]


def test_limits_of_0_are_none() -> None:
    seen = Seen(is_subscribed=False)
    run([seen], Limits(idle_timeout_s=0, keepalive_s=0), 5000)
    assert seen.done == []


@pytest.mark.parametrize("count", [1, 29, 30, 31, 1000])
def test_a_round_visits_everybody_once_in_even_slices(count: int) -> None:
    connections = [Seen(told=False, heard=False) for _ in range(count)]
    rounds = Rounds(Limits(), TICK_S, connections, lambda *_: False)
    visited = []
    for _ in range(30):
        rounds.tick()
        visited.append(sum(seen.quiet_rounds for seen in connections))
    assert visited[-1] == count
    assert {seen.quiet_rounds for seen in connections} == {1}
    slices = [later - earlier for earlier, later in itertools.pairwise([0, *visited])]
    assert max(slices) <= count // 30 + 1


def test_who_is_gone_is_not_visited() -> None:
    gone = Seen(is_open=False, told=False)
    run([gone], Limits(keepalive_s=1), 100)
    assert gone.done == []
