"""Secrets are made once, marked as secret, copied only to where they are read, and given ones are checked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.node.certificates import self_signed
from infra.declaration import SECRET, Declaration, of_type
from infra.offline import declare
from infra.secret_names import SECRET_KEYS
from infra.secrets import GivenSecretError, Secrets, SecretsArgs, check_given
from tests.infra.components import site
from tests.infra.recorded import registered

SECRETS, VERSION = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretVersion:SecretVersion"
NAMES = ("play.market.example", "*.play.market.example")
CERTIFICATE = {"tls-certificate": self_signed(NAMES).pem}


def declared(stack: str, given: Mapping[str, str] | None = None, **changes: object) -> Declaration:
    args = SecretsArgs(site(stack, **changes), given or {})

    def program() -> None:
        Secrets("secrets", args)

    return declare("test", {}, program)


def test_each_secret_has_a_value_but_the_certificate_that_is_issued_later() -> None:
    found = declared("geo-i")
    assert {r.inputs["name"] for r in of_type(found.resources, SECRETS)} == {
        f"isochrone/geo-i/{key}" for key in SECRET_KEYS
    }
    assert {r.name.removeprefix("secrets-") for r in of_type(found.resources, VERSION)} == {
        key for key in SECRET_KEYS if key != "tls-certificate"
    }


def test_no_value_is_seen() -> None:
    for version in of_type(declared("geo-i").resources, VERSION):
        assert version.inputs["secretString"] == SECRET


@pytest.mark.parametrize(
    ("stack", "key", "copies"),
    [("baseline", "token-key", 0), ("geo-ii", "token-key", 7), ("geo-ii", "sql-admin", 0)],
)
def test_a_secret_is_copied_to_the_regions_that_read_it(stack: str, key: str, copies: int) -> None:
    (secret,) = (r for r in of_type(declared(stack).resources, SECRETS) if r.name == f"secrets-{key}")
    regions = {replica["region"] for replica in secret.inputs.get("replicas", [])}
    assert len(regions) == copies
    assert "eu-west-1" not in regions


@pytest.mark.parametrize(("protect", "days"), [(True, 7), (False, 0)])
def test_protection_keeps_deleted_secrets_for_a_week(protect: bool, days: int) -> None:
    for secret in of_type(declared("geo-i", protect=protect).resources, SECRETS):
        assert secret.protect is protect
        assert secret.inputs["recoveryWindowInDays"] == days


def test_a_value_that_was_made_is_never_made_anew_and_a_given_one_may_change() -> None:
    args = SecretsArgs(site("geo-i", certificate="given"), CERTIFICATE)
    try:
        versions = {r.name: r for r in registered(lambda: Secrets("secrets", args)) if r.type == VERSION}
    except NotImplementedError:
        pytest.fail("the recorder has to answer the password that is made")
    assert versions["secrets-token-key"].ignores == ["secretString"]
    assert versions["secrets-tls-certificate"].ignores == []


@pytest.mark.parametrize(
    ("certificate", "given", "message"),
    [
        ("given", {}, "tls-certificate: is missing.*pulumi config set --secret"),
        ("acme", CERTIFICATE, "given though isochrone:certificate is acme"),
        ("acme", {"token-kye": "x"}, "token-kye: is no secret of the stack"),
        ("acme", {"token-key": " "}, "token-key: is empty"),
        ("acme", {"sql-admin": "seven-7"}, "sql-admin: is no password that RDS takes; give 8 to 41"),
        ("acme", {"sql-admin": "x" * 42}, "8 to 41"),
        *(
            ("acme", {"sql-admin": f"password{sign}"}, "without `/`")
            for sign in ("/", '"', "@", " ", "\n", "é")
        ),
        (
            "acme",
            {"sql-admin": "short", "token-key": ""},
            "(?s)token-key: is empty.*sql-admin: is no password",
        ),
    ],
)
def test_given_secrets_that_cannot_be(certificate: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(GivenSecretError, match=message):
        check_given(site("geo-i", certificate=certificate), given)


@pytest.mark.parametrize("password", ["x" * 8, "x" * 41, "!#$%&'()*+,-.:;<=>?[]^_`{|}~\\"])
def test_a_password_that_rds_takes_may_be_given(password: str) -> None:
    check_given(site("geo-i"), {"sql-admin": password})


def test_where_sql_is_on_the_node_rds_has_no_say() -> None:
    check_given(site("baseline"), {"sql-admin": "short"})


@given(st.text(min_size=4).filter(str.strip))
def test_no_message_has_a_value(value: str) -> None:
    value = f"<<{value}>>"
    with pytest.raises(GivenSecretError) as caught:
        check_given(site("geo-i"), {"tls-certificate": value, "unknown": value})
    assert value not in str(caught.value)


def test_a_given_certificate_that_cannot_be_served_is_refused_with_its_key() -> None:
    with pytest.raises(GivenSecretError, match=r"secrets\.tls-certificate: is not for us-east-1"):
        check_given(site("geo-i", certificate="given"), {"tls-certificate": self_signed(NAMES[:1]).pem})


def test_a_certificate_that_a_preview_cannot_decrypt_is_not_looked_at() -> None:
    check_given(site("geo-i", certificate="given"), {"tls-certificate": SECRET})
