"""One user of the load, over a connection whose messages the test writes."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from msgspec.json import decode

from bench.client import Connection, Listener
from bench.scenario import Scenario
from bench.schedule import Action, Kind
from bench.tally import Tally
from bench.user import Setting, User
from market import protocol

SCENARIO = Scenario(users=1, ramp_s=0, duration_s=10)
PLACE = Action(1.0, 0, Kind.PLACE, 0, 1, 100)


class Wire:
    """A connection that opens at once, keeps what is sent, and stays until the test ends it."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.sent: list[dict[str, Any]] = []

    async def open(self, _timeout_s: float) -> None:
        self.listener.opened(time.monotonic_ns())

    def send(self, data: bytes) -> None:
        self.sent.append(decode(data))

    def close(self) -> None:
        pass


class Session:
    """A user who is connected and has joined."""

    def __init__(self) -> None:
        self.tally = Tally()
        wires: list[Wire] = []

        def connection(listener: Listener) -> Connection:
            wires.append(Wire(listener))
            return cast(Connection, wires[0])

        self.user = User("user-0", connection, Setting(SCENARIO, 1, self.tally))
        (self.wire,) = wires
        asyncio.run(self.user.connect(time.monotonic_ns(), 1))
        self.user.join(time.monotonic_ns())
        self.hear(protocol.Games(0, []), protocol.Joined(1, "match-1"), protocol.Pools(2, "match-1", []))

    def hear(self, *messages: protocol.ServerMessage) -> None:
        for message in messages:
            self.user.message(protocol.encode(message), time.monotonic_ns())


def placed(request_id: int) -> protocol.Placed:
    return protocol.Placed(request_id, "winner", "1-0", 1, "1-0", 1000, duplicate=False)


def test_an_answer_that_comes_when_the_user_has_left_is_no_error_and_no_receipt() -> None:
    session = Session()
    session.user.place(PLACE, time.monotonic_ns())
    session.user.close(time.monotonic_ns())
    session.hear(
        placed(3), protocol.Error(4, 5030, "busy"), protocol.Distribution("match-1", "winner", 1, 9, 1, [], 0)
    )
    assert session.tally.errors == {}
    assert session.tally.acknowledged == []
    assert len(session.tally.unanswered) == 1
    assert session.tally.requests == 3
    assert session.tally.received == 0


def test_a_broadcast_that_is_there_before_it_was_published_counts_as_nothing_and_apart() -> None:
    session = Session()
    for offset, ahead_us in ((1, 5_000_000), (2, -5_000)):
        published_us = time.time_ns() // 1000 + ahead_us
        session.hear(protocol.Distribution("match-1", "winner", 1, offset, published_us, [], 0))
    assert (session.tally.received, session.tally.early) == (2, 1)
    assert session.tally.latency["broadcast"].summary().min == 0


def test_an_answer_to_nothing_that_was_asked_is_an_error_while_the_user_is_there() -> None:
    session = Session()
    session.hear(placed(17))
    assert session.tally.errors == {"reply:unknown": 1}
