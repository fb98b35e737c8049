"""RFC 6455 sections 5.6 and 8.1: a text message is UTF-8, wherever it is cut."""

from __future__ import annotations

import pytest

from tests.service.rfc6455.conftest import Talk
from tests.service.rfc6455.peer import CONT, PING, TEXT, fragmented, frame

ANSWER = "error 7 4001"
VALID = [
    "κόσμε",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\ufdd0",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\U00010000",
    "\U0001fffe",
    "\U0010ffff",
    "👩‍👩‍👧",
]
INVALID = {
    "a continuation byte alone": b"\x80",
    "the last continuation byte alone": b"\xbf",
    "two continuation bytes": b"\x80\xbf",
    "a first byte of two, alone": b"\xc2",
    "a first byte of three, alone": b"\xe1\x80",
    "a first byte of four, alone": b"\xf1\x80\x80",
    "a first byte of four, before another": b"\xf1\x80\x80\xc2\x80",
    "a slash in two bytes": b"\xc0\xaf",
    "a slash in three bytes": b"\xe0\x80\xaf",
    "a slash in four bytes": b"\xf0\x80\x80\xaf",
    "a zero in two bytes": b"\xc0\x80",
    "the largest in two that fits one": b"\xc1\xbf",
    "the largest in three that fits two": b"\xe0\x9f\xbf",
    "the largest in four that fits three": b"\xf0\x8f\xbf\xbf",
    "the first high surrogate": b"\xed\xa0\x80",
    "the last high surrogate": b"\xed\xaf\xbf",
    "the first low surrogate": b"\xed\xb0\x80",
    "the last low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond the last character": b"\xf4\x90\x80\x80",
    "a first byte of five": b"\xf8\x88\x80\x80\x80",
    "a first byte of six": b"\xfc\x84\x80\x80\x80\x80",
    "0xfe": b"\xfe",
    "0xff": b"\xff",
}
PLACES = {
    "in a value": (b'{"id":7,"type":"', b'"}'),
    "in a name": (b'{"id":7,"', b'":1,"type":"list_games"}'),
    "in a field that is unknown": (b'{"type":"list_games","id":7,"more":{"deep":["', b'"]}}'),
    "in the place of the message": (b"", b""),
    "after the message": (b'{"type":"list_games","id":7}', b""),
}


def message(text: str) -> bytes:
    return b'{"id":7,"type":"' + text.encode("utf-8", "surrogatepass") + b'"}'


@pytest.mark.parametrize("text", VALID, ids=ascii)
def test_text_in_utf_8_is_read(talk: Talk, text: str) -> None:
    assert talk(frame(TEXT, message(text))) == [ANSWER, "close 1000"]


@pytest.mark.parametrize("text", VALID, ids=ascii)
def test_a_character_may_be_cut_by_fragments(talk: Talk, text: str) -> None:
    whole = message(text)
    sent = b"".join(fragmented(whole[:cut], whole[cut:]) for cut in range(len(whole)))
    assert talk(sent) == [ANSWER] * len(whole) + ["close 1000"]


def test_every_byte_may_be_a_fragment(talk: Talk) -> None:
    whole = message("".join(VALID))
    assert talk(fragmented(*(whole[n : n + 1] for n in range(len(whole))))) == [ANSWER, "close 1000"]


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_anything_else_is_closed_with_1007(talk: Talk, place: tuple[bytes, bytes], data: bytes) -> None:
    assert talk(frame(TEXT, place[0] + data + place[1])) == ["close 1007"]


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
def test_anything_else_in_fragments_is_closed_with_1007(talk: Talk, data: bytes) -> None:
    whole = message("a").replace(b"a", data)
    assert talk(fragmented(*(whole[n : n + 1] for n in range(len(whole))))) == ["close 1007"]


@pytest.mark.parametrize(
    "data",
    [data for data in INVALID.values() if data not in (b"\xc2", b"\xe1\x80", b"\xf1\x80\x80")],
    ids=ascii,
)
def test_a_fragment_that_cannot_go_on_is_closed_without_waiting_for_the_rest(talk: Talk, data: bytes) -> None:
    assert talk(frame(TEXT, b'{"type":"' + data, fin=False), hang=True) == ["close 1007"]


def test_a_character_that_is_never_finished_is_closed_with_1007(talk: Talk) -> None:
    assert talk(frame(TEXT, b"\xe1\x80", fin=False), frame(CONT)) == ["close 1007"]


def test_after_invalid_text_nothing_is_answered(talk: Talk) -> None:
    assert talk(frame(TEXT, b"\xff") + frame(TEXT, message("a")) + frame(PING)) == ["close 1007"]
