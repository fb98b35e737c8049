"""The map of the report: where each region's users are sent, where they read, and what a read takes."""

from __future__ import annotations

import math
from functools import cache
from typing import Final
from xml.etree.ElementTree import Element

from markupsafe import Markup

from bench.land import dots
from bench.places import PLACES, Place
from bench.result import ArchitectureResult, RegionFacts
from bench.svg import add, hint, label, markup, number, picture
from bench.wording import bare_ms, ms

_WEST, _EAST, _SOUTH, _NORTH = -204.0, 192.0, -50.0, 72.0
_SCALE: Final = 1.5
_WIDTH, _HEIGHT = (_EAST - _WEST) * _SCALE, (_NORTH - _SOUTH) * _SCALE

HEAT_MS: Final = (10, 25, 50, 100, 200, 400, 1000)
"""Limits between the colours of a latency (ms)."""

_LABELS: Final = {
    "us-west-2": (-9, -2, "end"),
    "us-west-1": (-9, 11, "end"),
    "us-east-1": (9, -4, "start"),
    "eu-west-1": (-10, -4, "end"),
    "sa-east-1": (10, 6, "start"),
    "ap-southeast-1": (-10, 5, "end"),
    "ap-northeast-1": (9, 12, "start"),
    "ap-southeast-2": (-11, 6, "end"),
}


def heat(value_ms: float | None) -> int | None:
    """The number of a latency's colour, 0 the fastest; None for what was not measured."""
    return None if value_ms is None else sum(value_ms >= limit for limit in HEAT_MS)


def _at(place: Place) -> tuple[float, float]:
    return (place.longitude - _WEST) * _SCALE, (_NORTH - place.latitude) * _SCALE


@cache
def land() -> Markup:
    """The continents, to be drawn once and used by every map."""
    points = dots(_WEST, _EAST, _SOUTH, _NORTH, 3.0)
    steps = "".join(f"M{number((x - _WEST) * _SCALE)} {number((_NORTH - y) * _SCALE)}h0" for x, y in points)
    root = Element("svg", width="0", height="0", style="position:absolute")
    root.set("aria-hidden", "true")
    defs = add(root, "defs")
    add(defs, "path", "land", id="land", d=steps)
    return markup(root)


def world(run: ArchitectureResult, quantity: str, title: str) -> Markup:
    """The regions of one run, coloured by the median of a quantity, and the ways to node and data."""
    latency = run.latency_ms.get(quantity)
    medians = {region: s.p50 for region, s in latency.by_region.items()} if latency else {}
    said = "; ".join(
        f"{PLACES[region].name} {ms(median)}" for region, median in medians.items() if region in PLACES
    )
    root = picture(_WIDTH, _HEIGHT, title, said or "not measured")
    add(root, "use", href="#land")
    for region, facts in run.regions.items():
        _ways(root, region, facts)
    shown = [region for region in PLACES if region in medians or region in run.regions]
    nodes = {facts.resolves_to for facts in run.regions.values()}
    for region in shown:
        x, y = _at(PLACES[region])
        median = medians.get(region)
        colour = heat(median)
        spot = add(root, "g")
        hint(spot, f"{PLACES[region].name}: {ms(median)}")
        if region in nodes:
            add(spot, "circle", "ring", cx=x, cy=y, r=8)
        add(spot, "circle", f"place h{colour}" if colour is not None else "place none", cx=x, cy=y, r=5.5)
        dx, dy, anchor = _LABELS[region]
        label(root, x + dx, y + dy, f"{PLACES[region].name} {bare_ms(median)}", "halo", anchor)
    return markup(root)


def _ways(root: Element, region: str, facts: RegionFacts) -> None:
    """The way from the users to their node, and from the node to the data it reads."""
    for start, end, kind in (
        (region, facts.resolves_to, "to-node"),
        (facts.resolves_to, facts.reads_from, "to-data"),
    ):
        if start != end and start in PLACES and end in PLACES and not (kind == "to-data" and region != start):
            _arc(root, _at(PLACES[start]), _at(PLACES[end]), kind)


def _arc(root: Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    (x1, y1), (x2, y2) = start, end
    length = math.hypot(x2 - x1, y2 - y1)
    lift = 0.16 * length
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - lift
    add(root, "path", kind, d=f"M{number(x1)} {number(y1)}Q{number(x)} {number(y)} {number(x2)} {number(y2)}")
