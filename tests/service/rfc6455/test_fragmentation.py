"""RFC 6455 section 5.4: messages in fragments."""

from __future__ import annotations

import pytest

from tests.service.rfc6455.conftest import Talk
from tests.service.rfc6455.peer import BINARY, CONT, PING, PONG, TEXT, closing, fragmented, frame, request

MESSAGE = request()
ANSWER = "error 7 4001"


def cut(size: int) -> list[bytes]:
    return [MESSAGE[start : start + size] for start in range(0, len(MESSAGE), size)]


@pytest.mark.parametrize("size", [1, 2, 5, 14, 27])
def test_a_message_in_fragments_of_any_size_is_answered(talk: Talk, size: int) -> None:
    assert talk(fragmented(*cut(size))) == [ANSWER, "close 1000"]


@pytest.mark.parametrize(
    "payloads",
    [(b"", MESSAGE), (MESSAGE, b""), (b"", b"", MESSAGE, b"", b""), (b"", MESSAGE[:5], b"", MESSAGE[5:])],
    ids=["first", "last", "several", "in the middle"],
)
def test_fragments_may_be_empty(talk: Talk, payloads: tuple[bytes, ...]) -> None:
    assert talk(fragmented(*payloads)) == [ANSWER, "close 1000"]


def test_a_message_of_empty_fragments_is_an_empty_message(talk: Talk) -> None:
    assert talk(fragmented(b"", b"", b"")) == ["error None 4000", "close 1000"]


def test_a_control_frame_between_fragments_is_answered_at_once(talk: Talk) -> None:
    pings = frame(PING, b"a") + frame(PONG, b"b") + frame(PING, b"c")
    assert talk(fragmented(*cut(20), between=pings)) == ["pong 61", "pong 63", ANSWER, "close 1000"]


def test_a_close_between_fragments_is_answered(talk: Talk) -> None:
    assert talk(frame(TEXT, b"{", fin=False) + closing(1001, b"gone"), hang=True) == ["close 1001"]


def test_two_messages_in_fragments_are_two_messages(talk: Talk) -> None:
    other = request(number=8)
    answers = talk(fragmented(*cut(9)), fragmented(other[:9], other[9:]))
    assert answers == [ANSWER, "error 8 4001", "close 1000"]


@pytest.mark.parametrize("fin", [True, False], ids=["last", "more"])
@pytest.mark.parametrize(
    "before", [b"", frame(TEXT, MESSAGE), fragmented(*cut(9))], ids=["none", "whole", "cut"]
)
def test_a_continuation_of_nothing_is_a_protocol_error(talk: Talk, before: bytes, fin: bool) -> None:
    answers = [ANSWER] if before else []
    assert talk(before, frame(CONT, MESSAGE, fin=fin), hang=True) == [*answers, "close 1002"]


@pytest.mark.parametrize("fin", [True, False], ids=["whole", "fragment"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_new_message_inside_another_is_a_protocol_error(talk: Talk, opcode: int, fin: bool) -> None:
    assert talk(frame(TEXT, b"{", fin=False), frame(opcode, MESSAGE, fin=fin), hang=True) == ["close 1002"]
