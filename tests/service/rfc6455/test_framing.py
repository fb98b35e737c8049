"""RFC 6455 section 5: frames, their lengths, masks, reserved bits and opcodes, and control frames."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from market import keys
from tests.service.rfc6455.conftest import MAX_MESSAGE_BYTES, Api, Talk
from tests.service.rfc6455.peer import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    fragmented,
    frame,
    request,
)

WHOLE = frame(TEXT, request())
ANSWER = "error 7 4001"
SIZES = [31, 125, 126, 127, 128, 254, 65_535, 65_536, 65_537, MAX_MESSAGE_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_a_message_of_any_size_is_answered(talk: Talk, size: int) -> None:
    assert talk(frame(TEXT, request(size))) == [ANSWER, "close 1000"]


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1, 1 << 20])
def test_a_message_that_is_too_big_is_closed_with_1009(talk: Talk, size: int) -> None:
    assert talk(frame(TEXT, request(size)), hang=True) == ["close 1009"]


def test_fragments_that_are_too_big_together_are_closed_with_1009(talk: Talk) -> None:
    half = b" " * (MAX_MESSAGE_BYTES // 2 + 1)
    assert talk(fragmented(half, half), hang=True) == ["close 1009"]


def test_a_length_that_does_not_fit_63_bits_is_refused(talk: Talk) -> None:
    assert talk(bytes((0x81, 0xFF)) + b"\xff" * 8 + b"mask", hang=True) == ["close 1009"]


def test_a_message_is_refused_for_its_length_before_it_comes(talk: Talk) -> None:
    head = bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8, "big")
    assert talk(head, hang=True) == ["close 1009"]


@pytest.mark.parametrize("length_bytes", [2, 8])
def test_a_length_in_more_bytes_than_it_needs_is_read(talk: Talk, length_bytes: int) -> None:
    assert talk(frame(TEXT, request(), length_bytes=length_bytes)) == [ANSWER, "close 1000"]


@pytest.mark.parametrize("payload", [b"", request()], ids=["empty", "full"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_frame_without_a_mask_is_a_protocol_error(talk: Talk, opcode: int, payload: bytes) -> None:
    assert talk(frame(opcode, payload, masked=False), hang=True) == ["close 1002"]


@pytest.mark.parametrize("rsv", range(0x10, 0x80, 0x10))
@pytest.mark.parametrize("opcode", [TEXT, PING, PONG, CLOSE])
def test_a_reserved_bit_is_a_protocol_error(talk: Talk, opcode: int, rsv: int) -> None:
    assert talk(WHOLE, frame(opcode, b"", rsv=rsv), hang=True) == [ANSWER, "close 1002"]


@pytest.mark.parametrize("rsv", range(0x10, 0x80, 0x10))
def test_a_reserved_bit_in_a_continuation_is_a_protocol_error(talk: Talk, rsv: int) -> None:
    assert talk(frame(TEXT, b"{", fin=False), frame(CONT, b"}", rsv=rsv), hang=True) == ["close 1002"]


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "full"])
@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_is_a_protocol_error(talk: Talk, opcode: int, payload: bytes) -> None:
    assert talk(WHOLE, frame(opcode, payload), WHOLE, hang=True) == [ANSWER, "close 1002"]


@pytest.mark.parametrize("fin", [True, False], ids=["whole", "first fragment"])
def test_a_binary_message_is_closed_with_1003(talk: Talk, fin: bool) -> None:
    assert talk(frame(BINARY, request(), fin=fin), WHOLE) == ["close 1003"]


PAYLOADS = [b"", b"a", b"\x00\xff\xfe", b"x" * 124, bytes(range(125))]


@pytest.mark.parametrize("payload", PAYLOADS, ids=len)
def test_a_ping_is_answered_with_its_payload(talk: Talk, payload: bytes) -> None:
    assert talk(frame(PING, payload)) == [f"pong {payload.hex()}".strip(), "close 1000"]


def test_pings_are_answered_in_their_order(talk: Talk) -> None:
    pings = [bytes((number,)) for number in range(20)]
    answers = [f"pong {payload.hex()}" for payload in pings]
    assert talk(b"".join(frame(PING, payload) for payload in pings)) == [*answers, "close 1000"]


@pytest.mark.parametrize("payload", PAYLOADS, ids=len)
def test_a_pong_that_nobody_asked_for_is_ignored(talk: Talk, payload: bytes) -> None:
    assert talk(frame(PONG, payload), WHOLE) == [ANSWER, "close 1000"]


@pytest.mark.parametrize("size", [126, 1000, 70_000])
@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_that_is_too_long_is_a_protocol_error(talk: Talk, opcode: int, size: int) -> None:
    assert talk(frame(opcode, b"\x03\xe8".ljust(size)), hang=True) == ["close 1002"]


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_is_a_protocol_error(talk: Talk, opcode: int) -> None:
    assert talk(frame(opcode, b"", fin=False), frame(CONT), hang=True) == ["close 1002"]


def test_frames_that_come_together_are_answered_in_their_order(talk: Talk) -> None:
    sent = b"".join(frame(TEXT, request(number=number)) + frame(PING) for number in range(9))
    answers = [word for number in range(9) for word in (f"error {number} 4001", "pong")]
    assert talk(sent) == [*answers, "close 1000"]


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (WHOLE, [ANSWER]),
        (frame(TEXT, request(200)), [ANSWER]),
        (frame(PING, b"abc"), ["pong 616263"]),
        (fragmented(request()[:9], request()[9:], between=frame(PING)), ["pong", ANSWER]),
    ],
    ids=["short", "longer", "ping", "fragments"],
)
def test_frames_may_come_byte_by_byte(talk: Talk, sent: bytes, answers: list[str]) -> None:
    assert talk(sent, pieces=1) == [*answers, "close 1000"]


@pytest.fixture
def ask_of_size(api: Api) -> Iterator[Callable[[int], tuple[int, bytes]]]:
    """Asks for what makes the server's answer so long; the frame that comes."""
    with contextlib.closing(api.redis.client()) as redis, api.peer() as peer:
        question = redis.hget(keys.pool("winner"), "question")
        peer.open(api.upgrade())
        frames = peer.frames()

        def ask(size: int) -> tuple[int, bytes]:
            redis.hset(keys.pool("winner"), "question", "?" * size)
            peer.send(frame(TEXT, b'{"type":"list_pools","id":1,"game":"match-1"}'))
            return next(frames)

        yield ask
        redis.hset(keys.pool("winner"), "question", question)


@pytest.mark.parametrize("size", [126, 127, 65_535, 65_536, 65_537])
def test_an_answer_of_any_size_is_one_text_frame_with_the_shortest_length(
    ask_of_size: Callable[[int], tuple[int, bytes]], size: int
) -> None:
    """That the length is the shortest is asserted where frames are read."""
    shortest = len(ask_of_size(0)[1])
    first, payload = ask_of_size(max(0, size - shortest))
    assert first == 0x81
    assert len(payload) == max(size, shortest)
