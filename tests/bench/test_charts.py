"""How the report's pictures and texts are drawn."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import charts, html, worldmap
from bench.land import is_land
from bench.result import Curve
from bench.svg import LogAxis, tick_text
from bench.wording import UNKNOWN, ms
from tests.bench.synthetic import comparison

positive = st.floats(min_value=1e-3, max_value=1e8)


@given(st.lists(positive, min_size=1, max_size=20))
def test_a_logarithmic_axis_keeps_the_order_and_shows_everything(values: list[float]) -> None:
    axis = LogAxis.over(values, 100, 500)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(100 <= place <= 500 for place in places)
    assert axis.ticks()
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks())


def test_ticks_are_short() -> None:
    assert [tick_text(value) for value in (0.5, 20, 1000, 100_000)] == ["0.5", "20", "1 s", "100 s"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.23, "4.2 ms"),
        (163.4, "163 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (2159, "2.16 s"),
        (29_852, "29.9 s"),
        (750_000, "12.5 min"),
        (None, UNKNOWN),
    ],
)
def test_from_a_second_on_latencies_are_in_seconds(value: float | None, text: str) -> None:
    assert ms(value) == text


@pytest.mark.parametrize("values", [(2159.0, 7897.0), (7_200_000.0, 7_200_000.0), (500.0, 934.0)])
def test_the_figures_beside_a_chart_are_not_cut_off(values: tuple[float, float]) -> None:
    drawn = charts.ranges([("Predictions", [charts.Bar("geo-i, blocking", 0, *values)])], "title")
    x, text = re.findall(r'class="value" x="([\d.]+)"[^>]*>([^<]+)<', drawn)[0]
    width = int(re.findall(r'viewBox="0 0 (\d+)', drawn)[0])
    assert float(x) + 7 * len(text) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(scheme: str) -> None:
    light, dark = (Path(html.__file__).parent / "templates/report.css").read_text().split("@media", 2)[:2]
    found: dict[str, str] = dict(re.findall(r"--([\w-]+): ([^;]+);", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): ([^;]+);", dark))
    colours = {name: found.get(value[6:-1], value) for name, value in found.items()}
    on_page = ["ink", "soft", "accent", "ok", "warn", *(f"t{i}" for i in range(6))]
    pairs = [(name, back) for name in on_page for back in ("page", "card")]
    pairs += [("ink", "warn-back"), ("warn", "warn-back")]
    heat = {"on-low": range(4), "on-middle": range(4, 5), "on-high": range(5, 8)}
    pairs += [(name, f"h{i}") for name, numbers in heat.items() for i in numbers]
    assert [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5] == []


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_pictures_keep_a_size_that_can_be_read_and_scroll_where_there_is_no_room() -> None:
    found = html.render(comparison(control=True))
    assert "min-width: calc(.85 * var(--drawn, 0px))" in found
    drawn = re.findall(r'<svg [^>]*style="--drawn: 560px"', found)
    assert len(drawn) == found.count('<div class="scroll"><svg viewBox="0 0 560') == 4


def test_a_polygon_has_its_corners_at_the_share_of_the_largest() -> None:
    drawn = charts.radar(("a", "b", "c"), {"x": (1, 2, 3), "y": (2, 2, 1)}, {"x": 0, "y": 1}, "title")
    areas = re.findall(r'd="M([^"]*)Z" class="area|class="area [^"]*" d="M([^"]*)Z"', drawn)
    assert len(areas) == 2
    half, full = (max(areas[i]).split()[:2] for i in range(2))
    assert float(half[1]) - float(full[1]) == pytest.approx(50, abs=0.2)


def test_long_distributions_are_thinned_without_losing_their_ends() -> None:
    values = [1 + i / 10 for i in range(5000)]
    drawn = charts.distributions(
        {"x": Curve(values, [(i + 1) / 5000 for i in range(5000)])}, {"x": 0}, "title"
    )
    steps = re.findall(r'class="curve [^"]*" d="M([^"]*)"', drawn)[0].split()
    places = [float(x) for x in steps[::2]]
    assert len(places) < 200
    assert places == sorted(places)
    assert float(steps[-1]) == 14.0


@pytest.mark.parametrize(
    ("longitude", "latitude", "land"),
    [(-8, 53, True), (-100, 40, True), (134, -25, True), (25, 0, True), (-150, 0, False), (-30, 40, False)],
)
def test_the_drawing_knows_land_from_sea(longitude: float, latitude: float, land: bool) -> None:
    assert is_land(longitude, latitude) is land


def test_slower_is_never_a_lighter_colour() -> None:
    found = [worldmap.heat(value) for value in (0.0, 9.9, 10, 30, 60, 150, 399, 999, 1e9)]
    numbers = [value for value in found if value is not None]
    assert all(a <= b for a, b in pairwise(numbers))
    assert (numbers[0], numbers[-1]) == (0, len(worldmap.HEAT_MS))
    assert worldmap.heat(None) is None
