"""Fan-out and history: one order of pushes, in slices, and what of it is had again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from market.fanout import SLICE, Fanout
from market.history import START, History, Sending, digest, read_push
from market.protocol import Distribution, PoolChanged, Position, encode
from market.scripts import HISTORY_LENGTH


def sending(offset: int, pool: str | None = "winner", epoch: int = 7) -> Sending:
    return Sending(Position(epoch, offset), pool, f"{pool} {offset}".encode())


class Ear:
    """A listener that remembers what it was offered, and in which turn of the loop."""

    def __init__(self, turn: list[int]) -> None:
        self.turn = turn
        self.heard: list[tuple[int, int]] = []

    def offer(self, sending: Sending) -> None:
        self.heard.append((sending.position.offset, self.turn[0]))


async def count(turn: list[int]) -> None:
    """Count enough turns of the loop for all that these tests send."""
    for _ in range(40):
        turn[0] += 1
        await asyncio.sleep(0)


def fan_out(listeners: int) -> tuple[list[int], Fanout, list[Ear]]:
    turn, fanout = [0], Fanout(lambda _: None, lambda _, __: None)
    ears = [Ear(turn) for _ in range(listeners)]
    for ear in ears:
        fanout.listeners[ear] = None
    return turn, fanout, ears


def test_a_push_reaches_everybody_in_slices_that_leave_the_loop_free() -> None:
    async def scenario() -> None:
        turn, fanout, ears = fan_out(5 * SLICE)
        clock = asyncio.ensure_future(count(turn))
        await asyncio.sleep(0)
        fanout.publish(sending(1))
        await clock
        assert all(len(ear.heard) == 1 for ear in ears)
        assert len({ear.heard[0][1] for ear in ears}) == 5

    uvloop.run(scenario())


def test_what_waits_is_sent_in_order_without_distributions_that_a_later_one_supersedes() -> None:
    async def scenario() -> None:
        turn, fanout, ears = fan_out(3 * SLICE)
        for push in (
            sending(1),
            sending(2),
            sending(3, None),
            sending(4, "score"),
            sending(5, None),
            sending(6),
        ):
            fanout.publish(push)
        await count(turn)
        for ear in ears:
            assert [offset for offset, _ in ear.heard] == [1, 3, 4, 5, 6]

    uvloop.run(scenario())


def test_who_leaves_while_a_push_is_on_its_way_does_not_get_it() -> None:
    async def scenario() -> None:
        turn, fanout, ears = fan_out(2 * SLICE)
        fanout.publish(sending(1))
        del fanout.listeners[ears[-1]]
        await count(turn)
        assert ears[-2].heard
        assert not ears[-1].heard

    uvloop.run(scenario())


def test_a_push_is_read_from_the_channel() -> None:
    distribution = Distribution("match-1", "winner", 7, 3, 1, [1, 2], 2)
    game, read = read_push(encode(distribution))
    assert (game, read.pool, read.position) == ("match-1", "winner", Position(7, 3))
    changed = PoolChanged("match-1", "winner", 7, 4, 1, "closed", "?", ["a", "b"], [1, 2], 2, [])
    assert read_push(encode(changed))[1].pool is None
    with pytest.raises(msgspec.DecodeError):
        read_push(b'{"type":"placed"}')


def test_pushes_of_equal_text_have_the_same_digest() -> None:
    assert digest(sending(1)) == digest(sending(1)) != digest(sending(2))


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 600))
def test_a_history_gives_exactly_what_lies_between_or_says_that_it_is_gone(
    sent: int, since: int, until: int
) -> None:
    history = History()
    for offset in range(1, sent + 1):
        assert history.follows(sending(offset))
        history.append(sending(offset))
    since, until = min(since, sent), min(until, sent)
    missed = history.between(Position(7, since) if since else START, Position(7, until) if until else START)
    if until < since:
        assert missed is None
    elif since > sent - HISTORY_LENGTH - 1 or since == until:
        assert missed == [sending(offset) for offset in range(since + 1, until + 1)]
    elif since + HISTORY_LENGTH < sent:
        assert missed is None


def test_another_epoch_has_nothing_in_common() -> None:
    history = History()
    history.append(sending(1, epoch=7))
    assert history.between(Position(6, 1), Position(7, 1)) is None
    assert not history.follows(sending(2, epoch=8))
    assert not history.has(sending(1, epoch=8))
