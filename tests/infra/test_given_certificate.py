"""A certificate that is given is looked at before anything is declared, since a wrong one shows too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from ami.node.certificates import self_signed
from infra.given_certificate import mistakes

PLAY = "play.market.example"
ASKED = (PLAY, f"eu-west-1.{PLAY}", f"us-east-1.{PLAY}")
RSA = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize("names", [ASKED, (PLAY, f"*.{PLAY}"), (PLAY.upper(), f"*.{PLAY}", "other.example")])
def test_one_for_the_play_name_and_every_regional_name_can_be_served(names: tuple[str, ...]) -> None:
    assert not list(mistakes(self_signed(names).pem, ASKED))


def test_its_parts_may_come_in_any_order_and_with_the_chain() -> None:
    pair, other = self_signed(ASKED), self_signed(("authority.example",))
    assert not list(mistakes(pair.key + other.chain + pair.chain, ASKED))


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ((PLAY,), f"is not for eu-west-1.{PLAY}, us-east-1.{PLAY}; order one for {PLAY} and *.{PLAY}"),
        ((f"*.{PLAY}",), f"is not for {PLAY};"),
        (("*.market.example",), f"is not for eu-west-1.{PLAY}, us-east-1.{PLAY};"),
        ((PLAY, "*.example"), f"is not for eu-west-1.{PLAY}"),
    ],
)
def test_every_name_that_it_lacks_is_said(names: tuple[str, ...], lacking: str) -> None:
    (found,) = mistakes(self_signed(names).pem, ASKED)
    assert found.startswith(lacking)


def test_one_that_has_expired_is_no_certificate() -> None:
    (found,) = mistakes(self_signed(ASKED).pem, ASKED, datetime.now(UTC) + timedelta(days=31))
    assert found.startswith("expired at ")


def test_the_key_has_to_be_its_own() -> None:
    (found,) = mistakes(self_signed(ASKED).chain + self_signed(ASKED).key, ASKED)
    assert found == "has a key that is not that of any certificate beside it"


def test_the_key_has_to_be_one_that_nginx_speaks() -> None:
    assert "ECDSA" in next(mistakes(self_signed(ASKED).chain + RSA.decode(), ASKED))


@pytest.mark.parametrize("part", ["chain", "key"])
def test_both_parts_have_to_be_there(part: str) -> None:
    (found,) = mistakes(getattr(self_signed(ASKED), part), ASKED)
    assert "one key that is not encrypted, its certificate and the chain" in found


@given(st.text())
def test_whatever_is_given_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    text = f"<<{text}>>"
    (found,) = mistakes(text, ASKED)
    assert text not in found
