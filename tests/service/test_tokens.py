"""Tokens: keys that rotate, audiences, scopes, leeway."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.settings import SettingsError
from market.token_keys import TokenKey, load_keys, read_keys
from market.tokens import Signer, TokenError

OLD, NEW = "o" * 32, "n" * 32
NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
SECRETS = st.text("abc+/=:", min_size=32, max_size=60)


@given(st.lists(st.tuples(NAMES, SECRETS), min_size=1, max_size=16, unique_by=lambda pair: pair[0]))
def test_a_file_has_a_line_for_each_key(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{name}:{secret}" for name, secret in pairs)
    assert read_keys(text + "\n\n") == [TokenKey(name, secret) for name, secret in pairs]


@pytest.mark.parametrize("key", ["x" * 32, "base64/with+signs=" * 2, "a b:c" + "x" * 32])
def test_a_single_key_needs_no_name(key: str) -> None:
    assert read_keys(key) == [TokenKey(None, key)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:short", "at least 32 bytes"),
        (f"a:{OLD}\nb:short", "line 2"),
        (f"a:{OLD}\na:{NEW}", "two keys of one name"),
        (f"{OLD}\n{NEW}", "two keys of one name"),
        ("\n".join(f"k{n}:{OLD}" for n in range(17)), "1 to 16"),
        ("", "0 keys"),
    ],
)
def test_what_is_wrong_with_the_keys_is_told_without_them(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        read_keys(text)
    assert OLD not in str(error.value)


def test_a_key_is_not_in_its_representation(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"a:{OLD}\n", encoding="utf-8")
    (key,) = load_keys(str(file))
    assert OLD not in repr(key)


def accepts(signer: Signer, token: str) -> bool:
    try:
        signer.verify(token)
    except TokenError:
        return False
    return True


def test_keys_rotate_without_refusing_anybody() -> None:
    """Each step has what signs before and after it, and the tokens that still hold."""
    steps = [f"1:{OLD}", f"1:{OLD}\n2:{NEW}", f"2:{NEW}\n1:{OLD}"]
    signers = [Signer(text) for text in steps]
    for before, after in itertools.pairwise(signers):
        for issuer in (before, after):
            token = issuer.issue("user-1", 60)
            assert accepts(before, token)
            assert accepts(after, token)
    assert not accepts(Signer(f"2:{NEW}"), signers[0].issue("user-1", 60))


def test_a_key_without_a_name_gets_one_without_refusing_anybody() -> None:
    bare, both, named = Signer(OLD), Signer(f"2:{NEW}\n{OLD}"), Signer(f"1:{OLD}")
    assert accepts(both, bare.issue("user-1", 60))
    assert accepts(named, bare.issue("user-1", 60))
    assert accepts(bare, named.issue("user-1", 60))


def test_the_first_key_signs_and_its_name_is_in_the_token() -> None:
    token = Signer(f"new:{NEW}\nold:{OLD}").issue("user-1", 60)
    assert jwt.get_unverified_header(token)["kid"] == "new"
    assert not accepts(Signer(f"old:{OLD}"), token)
    assert "kid" not in jwt.get_unverified_header(Signer(OLD).issue("user-1", 60))


def test_a_name_does_not_make_another_key_fit() -> None:
    forged = Signer(f"old:{NEW}").issue("user-1", 60)
    assert not accepts(Signer(f"old:{OLD}\nnew:{NEW}"), forged)


def test_a_token_for_others_is_refused() -> None:
    assert not accepts(Signer(OLD, "market"), Signer(OLD, "staging").issue("user-1", 60))
    assert accepts(Signer(OLD, "staging"), Signer(OLD, "staging").issue("user-1", 60))


def test_a_token_has_the_scopes_that_it_was_given() -> None:
    signer = Signer(OLD)
    assert not signer.verify(signer.issue("user-1", 60)).is_admin
    identity = signer.verify(signer.issue("operator", 60, scopes=["admin", "feed"]))
    assert identity.is_admin
    assert identity.scopes == {"admin", "feed"}
    claims = {"sub": "user-1", "aud": "market", "exp": int(time.time()) + 60}
    for scope in (["admin"], 1, {"admin": True}):
        assert not accepts(signer, jwt.encode(claims | {"scope": scope}, OLD))
    assert not signer.verify(jwt.encode(claims | {"scope": "administrator"}, OLD)).is_admin


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    claims = {"sub": "user-1", "aud": "market", "exp": int(time.time()) + 60}
    key: Any = None if algorithm == "none" else "x" * 64
    assert not accepts(Signer("x" * 64), jwt.encode(claims, key, algorithm=algorithm))


@pytest.mark.parametrize("missing", ["sub", "aud", "exp"])
def test_a_token_without_a_claim_is_refused(missing: str) -> None:
    claims = {"sub": "user-1", "aud": "market", "exp": int(time.time()) + 60}
    del claims[missing]
    assert not accepts(Signer(OLD), jwt.encode(claims, OLD))


def test_clocks_may_differ_by_the_leeway() -> None:
    now_s = int(time.time())
    signer = Signer(OLD, leeway_s=10)
    late = signer.verify(signer.issue("user-1", 60, now_s=now_s - 63))
    assert not signer.expired(late)
    assert not accepts(signer, signer.issue("user-1", 60, now_s=now_s - 75))
    assert accepts(signer, signer.issue("user-1", 60, now_s=now_s + 5))
