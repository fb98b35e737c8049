"""A network spans the zones that have the machines which the architecture orders there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.answers import answer
from infra.errors import InfraError
from infra.offline import declare
from infra.zones import ranked, zones
from tests.infra.components import site

NAMES = ["sa-east-1a", "sa-east-1b", "sa-east-1c"]


def test_zones_that_have_the_types_come_first() -> None:
    offers = {("m3.xlarge", "sa-east-1a"), ("m3.xlarge", "sa-east-1c")}
    assert ranked(NAMES, ["m3.xlarge"], offers) == ["sa-east-1a", "sa-east-1c", "sa-east-1b"]


def test_a_zone_that_has_more_of_the_types_comes_before_one_that_has_fewer() -> None:
    offers = {("m3.xlarge", zone) for zone in NAMES} | {("m2.xlarge", "sa-east-1b")}
    assert ranked(NAMES, ["m2.xlarge", "m3.xlarge"], offers)[0] == "sa-east-1b"


@given(st.permutations(NAMES), st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from(NAMES))))
def test_every_zone_stays_and_where_nothing_is_known_so_does_the_order(
    names: list[str], offers: set[tuple[str, str]]
) -> None:
    assert sorted(ranked(names, ["a", "b"], offers)) == sorted(names)
    assert ranked(names, ["a"], set()) == names


def found(lookup: Any, **changes: Any) -> Any:
    def program() -> None:
        pulumi.export("zones", pulumi.Output.all(*zones(site("geo-i", **changes), "sa-east-1")))

    return declare("test", {}, program, lookup).exports["zones"]


def test_the_offers_are_asked_for_by_zone() -> None:
    def lookup(token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if args.get("locationType") == "availability-zone":
            return {"instanceTypes": ["m3.xlarge"], "locations": ["sa-east-1c"]}
        return answer(token, args)

    assert found(lookup) == ["sa-east-1c", "sa-east-1a"]


def test_more_zones_are_asked_of_home_alone() -> None:
    assert len(found(answer, zones=3)) == 2
    assert len(found(answer, zones=3, home="sa-east-1")) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"zones": 3, "home": "sa-east-1"},
            r"has 1 of the 3 .* that sa-east-1 has to have: lower isochrone:zones",
        ),
        ({}, r"has 1 of the 2 .* that sa-east-1 has to have: take another region"),
    ],
)
def test_an_account_with_too_few_zones_is_told_what_to_do(changes: dict[str, Any], message: str) -> None:
    def lookup(token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        return {"names": ["sa-east-1a"]} if "AvailabilityZones" in token else answer(token, args)

    with pytest.raises(InfraError, match=message):
        found(lookup, **changes)
