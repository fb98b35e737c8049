"""The charts of the report as SVG that takes its colours from the page: series n has the class `sn`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bench.result import Curve
from bench.svg import LogAxis, add, hint, label, line, markup, number, path, picture, tick_text
from bench.wording import ms

_CURVE_POINTS: Final = 160


@dataclass(frozen=True)
class Bar:
    """One line of `ranges`: from the mean of the regions' medians to the 98th percentile (ms)."""

    name: str
    series: int
    median: float | None
    p98: float | None


def ranges(groups: Sequence[tuple[str, Sequence[Bar]]], title: str) -> Markup:
    """Per group and series a dot at the median and a line to the 98th percentile, on one logarithmic axis."""
    longest = max((len(bar.name) for _, bars in groups for bar in bars), default=0)
    figures = max((len(_both(bar)) for _, bars in groups for bar in bars), default=0)
    left, right, width, row, gap, top = 140 + 7 * longest, max(130, 20 + 7 * figures), 960, 21, 16, 26
    height = top + sum(len(bars) * row + gap for _, bars in groups) + 8
    values = [v for _, bars in groups for bar in bars for v in (bar.median, bar.p98) if v is not None]
    axis = LogAxis.over(values, left, width - right)
    said = "; ".join(
        f"{name} {bar.name} {ms(bar.median)} and {ms(bar.p98)}" for name, bars in groups for bar in bars
    )
    root = picture(
        width, height, title, f"Mean of the regions' medians and 98th percentile over all users: {said}"
    )
    for value in axis.ticks():
        line(root, axis.at(value), top - 6, axis.at(value), height - 8, "grid")
        label(root, axis.at(value), top - 11, tick_text(value), "tick", "middle")
    label(root, width - right + 12, top - 11, "median / p98", "tick")
    label(root, left - 12, top - 11, "ms, logarithmic", "tick", "end")
    y: float = top
    for name, bars in groups:
        label(root, 0, y + row * len(bars) / 2 + 5, name, "group")
        for bar in bars:
            middle = y + row / 2
            label(root, left - 12, middle + 4, bar.name, f"label t{bar.series}", "end")
            if bar.median is not None:
                drawn = add(root, "g")
                hint(drawn, f"{name}, {bar.name}: median {ms(bar.median)}, 98th percentile {ms(bar.p98)}")
                end = axis.at(bar.p98 if bar.p98 is not None else bar.median)
                line(drawn, axis.at(bar.median), middle, end, middle, f"range s{bar.series}")
                line(drawn, end, middle - 5, end, middle + 5, f"cap s{bar.series}")
                add(drawn, "circle", f"dot f{bar.series}", cx=axis.at(bar.median), cy=middle, r=5.5)
            label(root, width - right + 12, middle + 4, _both(bar), "value")
            y += row
        y += gap
        line(root, 0, y - gap / 2, width, y - gap / 2, "rule")
    return markup(root)


def _both(bar: Bar) -> str:
    return f"{ms(bar.median)} / {ms(bar.p98)}" if bar.median is not None else "not measured"


def distributions(curves: Mapping[str, Curve], series: Mapping[str, int], title: str) -> Markup:
    """Cumulative distributions, logarithmic; the first line is the widest, so that none hides another."""
    width, height, left, right, top, bottom = 560, 300, 44, 34, 14, 36
    drawn = {name: points for name, curve in curves.items() if (points := _points(curve))}
    axis = LogAxis.over([value for points in drawn.values() for value, _ in points], left, width - right)

    def y(fraction: float) -> float:
        return top + (1 - fraction) * (height - top - bottom)

    root = picture(width, height, title, f"Cumulative distributions of {', '.join(drawn) or 'nothing'}")
    for fraction in (0, 0.25, 0.5, 0.75, 1):
        line(root, left, y(fraction), width - right, y(fraction), "grid")
        label(root, left - 8, y(fraction) + 4, f"{fraction:.0%}", "tick", "end")
    line(root, left, y(0.98), width - right, y(0.98), "mark")
    label(root, width - right + 6, y(0.98) + 7, "p98", "tick")
    for value in axis.ticks():
        line(root, axis.at(value), top, axis.at(value), height - bottom, "grid")
        label(root, axis.at(value), height - bottom + 16, tick_text(value), "tick", "middle")
    label(root, (left + width - right) / 2, height - 4, "milliseconds, logarithmic", "tick", "middle")
    for name, points in drawn.items():
        found = path(root, [(axis.at(v), y(f)) for v, f in points], f"curve s{series[name]} w{series[name]}")
        hint(found, name)
    if not drawn:
        label(root, (left + width - right) / 2, y(0.5) - 6, "not measured", "label", "middle")
    return markup(root)


def _points(curve: Curve) -> list[tuple[float, float]]:
    """The points to draw: at most `_CURVE_POINTS`, with the first and the last; from zero up."""
    points = [(v, f) for v, f in zip(curve.value_ms, curve.fraction, strict=False) if v > 0]
    if not points:
        return []
    if len(points) > _CURVE_POINTS:
        last = len(points) - 1
        points = [points[i * last // (_CURVE_POINTS - 1)] for i in range(_CURVE_POINTS)]
    return [(points[0][0], 0.0), *points]


def radar(
    axes: Sequence[str], polygons: Mapping[str, Sequence[float]], series: Mapping[str, int], title: str
) -> Markup:
    """The polygons of a meter, each axis scaled to its largest value among them."""
    width, height, radius = 500, 262, 100
    middle_x, middle_y = width / 2, height / 2 + (8 if len(axes) % 2 else 0)
    n = len(axes)
    most = [max((values[i] for values in polygons.values()), default=0) or 1 for i in range(n)]

    def corner(i: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * i / n - math.pi / 2
        return middle_x + radius * share * math.cos(angle), middle_y + radius * share * math.sin(angle)

    root = picture(width, height, title, f"Polygons of {', '.join(polygons)} over {', '.join(axes)}")
    for share in (0.25, 0.5, 0.75, 1):
        path(root, [corner(i, share) for i in range(n)], "grid", closed=True)
    for i, name in enumerate(axes):
        x, y = corner(i, 1)
        line(root, middle_x, middle_y, x, y, "grid")
        x, y = corner(i, 1.13)
        side = "middle" if abs(x - middle_x) < 12 else "start" if x > middle_x else "end"
        label(root, x, y + 4, name, "tick", side)
    for name, values in polygons.items():
        corners = [corner(i, value / most[i]) for i, value in enumerate(values)]
        found = path(root, corners, f"area s{series[name]} w{series[name]} f{series[name]}", closed=True)
        hint(found, name)
    return markup(root)


def pairs(
    rows: Sequence[tuple[str, float | None, float | None]],
    names: tuple[str, str],
    series: int,
    title: str,
    high: float,
) -> Markup:
    """Per row a dot for the first value and a diamond for the second, on a logarithmic axis up to `high`."""
    width, row, left, right, top = 460, 24, 106, 16, 26
    height = top + row * len(rows) + 10
    known = [value for _, a, b in rows for value in (a, b) if value is not None]
    axis = LogAxis.over([*known, high], left, width - right)
    said = "; ".join(f"{name} {ms(a)} and {ms(b)}" for name, a, b in rows)
    root = picture(width, height, title, f"{names[0]} and {names[1]}: {said}")
    for value in axis.ticks():
        line(root, axis.at(value), top - 6, axis.at(value), height - 8, "grid")
        label(root, axis.at(value), top - 11, tick_text(value), "tick", "middle")
    for i, (name, a, b) in enumerate(rows):
        y = top + row * (i + 0.5)
        label(root, left - 12, y + 4, name, "label", "end")
        drawn = add(root, "g")
        hint(drawn, f"{name}: {names[0]} {ms(a)}, {names[1]} {ms(b)}")
        if a is not None and b is not None:
            line(drawn, axis.at(a), y, axis.at(b), y, "range bad")
        if b is not None:
            x = axis.at(b)
            path(drawn, [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], "diamond bad", closed=True)
        if a is not None:
            add(drawn, "circle", f"dot f{series}", cx=axis.at(a), cy=y, r=5)
    return markup(root)


def bar(share: float) -> Markup:
    """A share of one as a small bar."""
    root = picture(100, 8, "share", f"{share:.0%}")
    add(root, "rect", "bar-back", x=0, y=0, width=100, height=8, rx=2)
    if share > 0:
        add(
            root, "rect", "bar-front", x=0, y=0, width=number(max(1.0, 100 * min(share, 1.0))), height=8, rx=2
        )
    return markup(root)
