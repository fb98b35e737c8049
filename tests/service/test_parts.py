"""The parts that need no server: frames, tokens, topics, keys, entries of the journal."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from market.frames import text_frame
from market.ledger import read_entry
from market.tokens import Identity, Signer, TokenError
from market.topics import SLICE, Topic

KEY = "a key of the tests with 32 bytes or more"


@given(st.binary(max_size=300) | st.integers(65_530, 65_540).map(bytes))
def test_a_text_frame_is_the_one_that_websockets_makes(payload: bytes) -> None:
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.integers(1, 10_000))
def test_a_token_names_its_user_until_it_expires(user: str, ttl_s: int) -> None:
    now_s = int(time.time())
    token = Signer(KEY).issue(user, ttl_s, now_s=now_s)
    assert Signer(KEY).verify(token) == Identity(user, now_s + ttl_s)
    with pytest.raises(TokenError, match="expired"):
        Signer(KEY).verify(Signer(KEY).issue(user, ttl_s, now_s=now_s - ttl_s - 1))


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda data: data.hex() + ".e30.e30"))
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenError):
        Signer(KEY).verify(text)


def test_a_token_of_another_key_or_for_a_name_that_nobody_has_is_refused() -> None:
    with pytest.raises(TokenError):
        Signer(KEY).verify(Signer(KEY + "!").issue("user-1", 60))
    for name in ("", "a b", "x" * 65, "user-1\n"):
        with pytest.raises(TokenError):
            Signer(KEY).verify(Signer(KEY).issue(name, 60))


class Ear:
    """A listener that remembers what it was offered, and in which turn of the loop."""

    def __init__(self, turn: list[int]) -> None:
        self.turn = turn
        self.heard: list[tuple[str, bytes, int]] = []

    def offer(self, pool: str, frame: bytes) -> None:
        self.heard.append((pool, frame, self.turn[0]))


async def count(turn: list[int]) -> None:
    """Count enough turns of the loop for all that these tests send."""
    for _ in range(30):
        turn[0] += 1
        await asyncio.sleep(0)


def test_a_distribution_reaches_everybody_in_slices_that_leave_the_loop_free() -> None:
    async def scenario() -> None:
        turn, topic = [0], Topic("match-1")
        ears = [Ear(turn) for _ in range(5 * SLICE)]
        topic.listeners.update(dict.fromkeys(ears))
        clock = asyncio.ensure_future(count(turn))
        await asyncio.sleep(0)
        topic.publish("winner", b"1")
        await clock
        assert all(len(ear.heard) == 1 for ear in ears)
        assert len({ear.heard[0][2] for ear in ears}) == 5

    uvloop.run(scenario())


def test_distributions_that_wait_for_their_turn_are_sent_in_order_and_the_latest_only() -> None:
    async def scenario() -> None:
        turn, topic = [0], Topic("match-1")
        ears = [Ear(turn) for _ in range(3 * SLICE)]
        topic.listeners.update(dict.fromkeys(ears))
        for pool, frame in (("winner", b"1"), ("winner", b"2"), ("score", b"1"), ("winner", b"3")):
            topic.publish(pool, frame)
        await count(turn)
        for ear in ears:
            assert [heard[:2] for heard in ear.heard] == [("winner", b"1"), ("winner", b"3"), ("score", b"1")]

    uvloop.run(scenario())


def test_who_leaves_while_a_distribution_is_on_its_way_does_not_get_it() -> None:
    async def scenario() -> None:
        turn, topic = [0], Topic("match-1")
        ears = [Ear(turn) for _ in range(2 * SLICE)]
        topic.listeners.update(dict.fromkeys(ears))
        topic.publish("winner", b"1")
        del topic.listeners[ears[-1]]
        await count(turn)
        assert ears[-2].heard
        assert not ears[-1].heard

    uvloop.run(scenario())


@given(st.dictionaries(st.binary(max_size=8), st.binary(max_size=8), max_size=8))
def test_a_journal_entry_is_a_row_or_nothing(fields: dict[bytes, bytes]) -> None:
    assert read_entry(b"1-1", fields) is None
    whole = {b"user": b"u", b"key": b"k", b"game": b"g", b"pool": b"p", b"option": b"1", b"stake": b"2"}
    row = read_entry(b"1-1", fields | whole | {b"epoch": b"3"})
    assert row is None or (row.place, row.option, row.stake) == ((3, 1, 1), 1, 2)
    assert read_entry(b"1-1", whole | {b"epoch": b"3"}) is not None
