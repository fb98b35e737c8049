"""Small pieces of SVG: elements that escape what they hold, and logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

Number = float | int


def picture(width: Number, height: Number, title: str, description: str) -> Element:
    """An empty picture that says to those who do not see it what it shows."""
    root = Element("svg", viewBox=f"0 0 {number(width)} {number(height)}", role="img")
    root.set("aria-label", f"{title}. {description}")
    root.set("style", f"--drawn: {number(width)}px")
    SubElement(root, "title").text = title
    return root


def markup(root: Element) -> Markup:
    """The picture as text that needs no more escaping."""
    return Markup(tostring(root, encoding="unicode", short_empty_elements=False))  # noqa: S704 - ElementTree escapes


def number(value: Number) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def add(parent: Element, name: str, kind: str = "", **attributes: Number | str) -> Element:
    """A child element of a class; attribute names have `_` for `-`."""
    child = SubElement(parent, name)
    if kind:
        child.set("class", kind)
    for key, value in attributes.items():
        child.set(key.replace("_", "-"), value if isinstance(value, str) else number(value))
    return child


def label(
    parent: Element, x: Number, y: Number, text: str, kind: str = "label", anchor: str = "start"
) -> Element:
    """A text; `anchor` is start, middle or end."""
    child = add(parent, "text", kind, x=x, y=y, text_anchor=anchor)
    child.text = text
    return child


def line(parent: Element, x1: Number, y1: Number, x2: Number, y2: Number, kind: str) -> Element:
    """A straight line."""
    return add(parent, "line", kind, x1=x1, y1=y1, x2=x2, y2=y2)


def path(
    parent: Element, points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False
) -> Element:
    """A line through points."""
    steps = " ".join(f"{number(x)} {number(y)}" for x, y in points)
    return add(parent, "path", kind, d=f"M{steps}{'Z' if closed else ''}")


def hint(element: Element, text: str) -> None:
    """What a pointer that rests on the element is told."""
    SubElement(element, "title").text = text


_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis from `low` to `high` milliseconds, drawn from `start` to `end` pixels."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> LogAxis:
        """The axis that shows all values that are above zero, with a little room at both ends."""
        shown = [value for value in values if value > 0 and math.isfinite(value)] or [1.0, 1000.0]
        low, high = min(shown) / 1.25, max(shown) * 1.25
        if high / low < 10:
            middle = math.sqrt(low * high)
            low, high = middle / math.sqrt(10), middle * math.sqrt(10)
        return cls(low, high, start, end)

    def at(self, value: float) -> float:
        """Where a value is drawn; what is outside is drawn at the end."""
        bounded = min(max(value, self.low), self.high)
        share = math.log(bounded / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values to label: 1, 2 and 5 of each decade, or the decades alone when there are many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = _STEPS if last - first <= 3 else (1,)
        values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        return [value for value in values if self.low <= value <= self.high]


def tick_text(value_ms: float) -> str:
    """A round number of milliseconds, as short as can be: `0.5`, `20`, `1 s`, `100 s`."""
    return f"{value_ms / 1000:g} s" if value_ms >= 1000 else f"{value_ms:g}"
