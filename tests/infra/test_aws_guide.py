"""The guide to AWS quotes the costs that the preview prints, and takes down what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cost import HOURS_PER_MONTH, estimate
from infra.prices import prices_2015
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_the_costs_are_those_of_the_preview(stack: str) -> None:
    hour = estimate(load(stack, ROOT), prices_2015()).usd_per_hour
    assert f"| {stack} | ${hour:.3f} | ${hour * HOURS_PER_MONTH:,.0f} |" in GUIDE


def test_the_prices_are_dated() -> None:
    assert prices_2015().as_of.startswith("2015-11")
    assert "at the prices of November 2015" in GUIDE


@pytest.mark.parametrize("stack", ["image", "geo-ii"])
def test_what_is_made_is_also_taken_down(stack: str) -> None:
    assert f"pulumi up -s {stack}" in GUIDE
    assert f"pulumi destroy -s {stack}" in GUIDE
