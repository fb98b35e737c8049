"""The parts that need no server: frames and tokens."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from market.frames import text_frame
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
