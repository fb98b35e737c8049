"""Users are sent to the node with the smallest round trip, as latency records would."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.regions import REGIONS, UnknownMatrixError, matrices, matrix
from infra.routing import resolves_to
from infra.stackfile import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("year", ["2017", "2024"])
def test_the_baseline_sends_everyone_to_ireland(year: str) -> None:
    assert set(resolves_to(load("baseline", ROOT), matrix(year)).values()) == {"eu-west-1"}


@pytest.mark.parametrize("year", ["2017", "2024"])
@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_eight_nodes_serve_everyone_in_their_own_region(stack: str, year: str) -> None:
    assert resolves_to(load(stack, ROOT), matrix(year)) == {region: region for region in REGIONS}


def test_a_matrix_has_every_ordered_pair() -> None:
    for m in matrices().values():
        assert set(m.rtt_ms) == {(a, b) for a in REGIONS for b in REGIONS}


def test_the_2017_matrix_has_sydney_309_6_ms_from_ireland() -> None:
    assert matrix("2017").rtt_ms["eu-west-1", "ap-southeast-2"] == 309.6
    assert matrix("2017").one_way_ms("eu-west-1", "ap-southeast-2") == pytest.approx(154.8)


def test_an_unknown_matrix_names_those_that_there_are() -> None:
    with pytest.raises(UnknownMatrixError, match="2017, 2024"):
        matrix("1999")
