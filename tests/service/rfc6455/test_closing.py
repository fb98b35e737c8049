"""RFC 6455 section 7: the closing handshake."""

from __future__ import annotations

import pytest

from tests.service.rfc6455.conftest import Api, Talk
from tests.service.rfc6455.peer import CLOSE, PING, TEXT, closing, frame, request, told

VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4401, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.mark.parametrize("code", VALID)
def test_a_close_is_answered_with_its_code(talk: Talk, code: int) -> None:
    assert talk(closing(code), hang=True) == [f"close {code}"]


@pytest.mark.parametrize("code", INVALID)
def test_a_code_that_nobody_may_send_is_a_protocol_error(talk: Talk, code: int) -> None:
    assert talk(closing(code), hang=True) == ["close 1002"]


def test_a_close_without_a_code_is_answered_without_one(talk: Talk) -> None:
    assert talk(frame(CLOSE), hang=True) == ["close"]


def test_half_a_code_is_a_protocol_error(talk: Talk) -> None:
    assert talk(frame(CLOSE, b"\x03"), hang=True) == ["close 1002"]


@pytest.mark.parametrize("reason", [b"a", "αβγ".encode(), b"x" * 123], ids=len)
def test_a_reason_is_answered_with_the_same(api: Api, reason: bytes) -> None:
    with api.peer() as peer:
        peer.open(api.upgrade())
        peer.send(closing(1000, reason))
        assert [payload for _, payload in peer.frames()] == [b"\x03\xe8" + reason]


def test_a_reason_that_is_too_long_is_a_protocol_error(talk: Talk) -> None:
    assert talk(closing(1000, b"x" * 124), hang=True) == ["close 1002"]


@pytest.mark.parametrize("reason", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"x" * 120 + b"\xe2\x82"])
def test_a_reason_that_is_not_utf_8_is_closed_with_1007(talk: Talk, reason: bytes) -> None:
    assert talk(closing(1000, reason), hang=True) == ["close 1007"]


@pytest.mark.parametrize("after", [frame(TEXT, request()), frame(PING), closing(1001), b"\xff" * 100])
def test_what_follows_a_close_is_ignored(talk: Talk, after: bytes) -> None:
    assert talk(closing(1000) + after, after, hang=True) == ["close 1000"]


def test_what_follows_a_violation_is_ignored(talk: Talk) -> None:
    assert talk(frame(3) + frame(TEXT, request()), frame(PING), hang=True) == ["close 1002"]


def test_the_server_ends_the_connection_after_both_have_closed(api: Api) -> None:
    with api.peer() as peer:
        peer.open(api.upgrade())
        peer.send(closing(1000))
        assert [told(*one) for one in peer.frames()] == ["close 1000"]


@pytest.mark.parametrize(
    "sent", [b"", b"\x81", frame(TEXT, request())[:-1], frame(TEXT, b"{", fin=False)], ids=range(4)
)
def test_a_client_that_ends_without_a_close_is_let_go(api: Api, sent: bytes) -> None:
    with api.peer() as peer:
        peer.open(api.upgrade())
        peer.send(sent)
        peer.end()
        assert list(peer.frames()) == []
