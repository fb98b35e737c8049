"""Each kind of machine reads the secrets that it needs, where it is, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from infra.flows import Role
from infra.secret_names import (
    SECRET_KEYS,
    SQL_USERS,
    SecretKey,
    reads,
    secret_name,
    secret_regions,
    steward,
    writes,
)
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]

OF_A_NODE = ("redis-password", "sql-reader", "token-key", "tls-certificate")
OF_THE_CORE = ("redis-password", "sql-admin", "sql-ledger", "sql-reader", "token-key", "tls-certificate")


@pytest.mark.parametrize(
    ("stack", "role", "expected"),
    [
        ("baseline", "node", SECRET_KEYS),
        ("baseline", "monitoring", ()),
        ("geo-i", "node", OF_A_NODE),
        ("geo-i", "core", OF_THE_CORE),
        ("geo-i", "redis", ("redis-password",)),
        ("geo-i", "sql", ()),
        ("geo-ii", "node", OF_A_NODE),
        ("geo-ii", "monitoring", ()),
    ],
)
def test_a_role_reads_what_it_needs(stack: str, role: Role, expected: tuple[SecretKey, ...]) -> None:
    assert reads(load(stack, ROOT), role) == expected


@pytest.mark.parametrize(("stack", "role"), [("baseline", "node"), ("geo-i", "core"), ("geo-ii", "core")])
def test_only_the_steward_writes_and_only_an_issued_certificate(stack: str, role: Role) -> None:
    issued = load(stack, ROOT)
    given = replace(issued, certificate="given")
    assert steward(issued) == role
    assert {other for other in get_args(Role) if writes(issued, other)} == {role}
    assert writes(issued, role) == ("tls-certificate",)
    assert not any(writes(given, other) for other in get_args(Role))


def test_the_core_has_no_certificate_that_is_given() -> None:
    assert "tls-certificate" not in reads(replace(load("geo-i", ROOT), certificate="given"), "core")


@pytest.mark.parametrize("key", OF_A_NODE)
def test_what_a_node_reads_is_in_every_region_that_has_nodes(key: SecretKey) -> None:
    architecture = load("geo-ii", ROOT)
    found = secret_regions(architecture, key)
    assert found[0] == "eu-west-1"
    assert sorted(found) == sorted(architecture.nodes.regions)


@pytest.mark.parametrize("key", ["sql-admin", "sql-ledger"])
def test_what_only_the_core_reads_never_leaves_home(key: SecretKey) -> None:
    assert secret_regions(load("geo-ii", ROOT), key) == ("eu-west-1",)


def test_secrets_are_named_after_their_stack() -> None:
    assert secret_name(Site(load("geo-i", ROOT)), "token-key") == "isochrone/geo-i/token-key"


def test_every_sql_secret_has_an_account_that_fits_mysql() -> None:
    assert set(SQL_USERS) == {key for key in SECRET_KEYS if key.startswith("sql-")}
    assert all(len(user) <= 16 for user in SQL_USERS.values())
