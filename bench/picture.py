"""A comparison as one picture, for a README: medians and 98th percentiles per quantity and architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.answers import TITLES
from bench.result import LATENCIES, ArchitectureResult, Result
from bench.svg import tick_text
from bench.view import series, typical_pairs
from bench.wording import listing, ms

COLOURS: Final = ("#6b7785", "#d97706", "#0e8a8f", "#7c4dbe", "#b83269", "#4d7c0f")
_INK, _SOFT, _GRID, _BAD = "#1c2127", "#5b6570", "#e6e3dd", "#c2261c"
_DPI: Final = 150
_ROOM: Final = 15
"""How many characters of the figures there is room for at their full size."""


def summary_png(result: Result, path: Path) -> None:
    """Draw the comparison as a PNG of 1,200 pixels' width; blocking controls are drawn hollow and dashed.

    Args:
        result: What was measured.
        path: The file to write.
    """
    colours = series(result)
    groups = [(quantity, _lines(result, quantity)) for quantity in LATENCIES]
    rows = sum(len(lines) + 1 for _, lines in groups)
    height = 1.0 + 0.225 * rows
    figure = Figure(figsize=(8, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.285, 0.005, 0.545, 1 - (1.0 / height)))
    y = 0.0
    places: list[float] = []
    for quantity, lines in groups:
        axes.text(
            -0.486,
            y + (len(lines) - 1) / 2,
            TITLES[quantity],
            transform=axes.get_yaxis_transform(),
            fontsize=10.5,
            fontweight="bold",
            color=_INK,
            va="center",
        )
        labels = {(f"{name}, {kind}" if kind else name): run for name, kind, run in lines}
        pairs = typical_pairs(quantity, labels)
        for (name, kind, _), (label, pair) in zip(lines, pairs.items(), strict=True):
            _row(axes, y, pair, label, kind, COLOURS[colours[name] % len(COLOURS)])
            places.append(y)
            y += 1
        y += 0.9
        axes.axhline(y - 0.95, color=_GRID, linewidth=0.8, xmin=-0.486, xmax=1.275, clip_on=False)
    _dress(axes, y)
    title = f"Latency in {listing(list(result.architectures))}"
    _text(figure, 1 - 0.24 / height, title, 12.5, _INK, "bold")
    _text(figure, 1 - 0.50 / height, _subtitle(result), 8.5, _SOFT, "normal")
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def _text(figure: Figure, y: float, text: str, size: float, colour: str, weight: str) -> None:
    figure.text(0.02, y, text, fontsize=size, fontweight=weight, color=colour, va="center", parse_math=False)


def _lines(result: Result, quantity: str) -> list[tuple[str, str, ArchitectureResult]]:
    """The runs that a quantity shows: the control's where it matters, in requests."""
    lines = []
    for name, run in result.architectures.items():
        lines.append((name, "", run))
        if name in result.blocking and quantity in ("read", "prediction"):
            lines.append((name, "blocking", result.blocking[name]))
    return lines


def _row(
    axes: Axes, y: float, pair: tuple[float | None, float | None], label: str, kind: str, colour: str
) -> None:
    axes.text(
        -0.025,
        y,
        label,
        transform=axes.get_yaxis_transform(),
        fontsize=9,
        color=_BAD if kind else _INK,
        ha="right",
        va="center",
        parse_math=False,
    )
    p50, p98 = pair
    figures = f"{ms(p50)} / {ms(p98)}" if p50 is not None else "not measured"
    axes.text(
        1.03,
        y,
        figures,
        transform=axes.get_yaxis_transform(),
        fontsize=min(9, 9 * _ROOM / len(figures)),
        color=_BAD if kind else _INK,
        va="center",
    )
    if p50 is None or p50 <= 0:
        return
    end = p98 if p98 is not None else p50
    axes.plot(
        [p50, end], [y, y], color=colour, linewidth=3, alpha=0.55, linestyle=(0, (1.5, 0.8)) if kind else "-"
    )
    axes.plot([end], [y], marker="|", markersize=9, markeredgewidth=2, color=colour)
    axes.plot([p50], [y], marker="o", markersize=7, color=colour, markerfacecolor="white" if kind else colour)


def _dress(axes: Axes, height: float) -> None:
    axes.set_xscale("log")
    axes.set_ylim(height - 0.6, -0.8)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, 0.1), max(high, 10 * max(low, 0.1)))
    axes.xaxis.tick_top()
    axes.xaxis.set_major_formatter(lambda value, _: tick_text(value) + ("" if value >= 1000 else " ms"))
    axes.tick_params(axis="x", which="both", length=0, labelsize=8.5, labelcolor=_SOFT)
    axes.xaxis.set_minor_formatter(lambda _value, _position: "")
    axes.grid(axis="x", which="major", color=_GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _subtitle(result: Result) -> str:
    run = result.run
    what = "dot: mean of the regions' medians; end of the line: 98th percentile; logarithmic"
    return what if run is None else f"{run.users:,} users, delays between regions of {run.matrix}; {what}"
