"""The parts that need no server: frames and tokens."""

from __future__ import annotations

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from market import handshakes
from market.frames import text_frame
from market.listening import listening
from market.tokens import Identity, Signer, TokenError

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
        Signer(KEY).verify(Signer(KEY).issue(user, ttl_s, now_s=now_s - ttl_s - 6))


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


def test_a_listening_port_hands_down_that_dead_clients_are_found() -> None:
    with (
        listening("127.0.0.1:0") as server,
        socket.create_connection(server.getsockname()),
    ):
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            values = [accepted.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    assert values == [60, 10, 6, 120_000]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["market.v1", "market.v2"], "market.v1"),
        (["market.v2", "market.v1"], "market.v2"),
        (["market.v3", "market.v2"], "market.v2"),
        (["other"], None),
        ([], None),
    ],
)
def test_of_the_versions_that_both_speak_the_clients_first_is_taken(
    offered: list[str], chosen: str | None
) -> None:
    spoken = [Subprotocol("market.v1"), Subprotocol("market.v2")]
    protocol = handshakes.WireProtocol(lambda _: None, subprotocols=spoken)
    names = [Subprotocol(name) for name in offered]
    if chosen is None:
        with pytest.raises(NegotiationError, match=r"market\.v1 or market\.v2"):
            protocol.select_subprotocol(names)
    else:
        assert protocol.select_subprotocol(names) == chosen
