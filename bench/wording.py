"""Figures as people read them; what is not known is a dash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.result import SPREAD_TAIL, Spread

UNKNOWN: Final = "\N{EN DASH}"


def ms(value: float | None) -> str:
    """Milliseconds with their unit, from a second on in seconds: `4.2 ms`, `163 ms`, `2.16 s`, `12.5 min`."""
    if value is None:
        return UNKNOWN
    if value >= 600_000:
        return f"{value / 60_000:,.1f} min"
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    if value >= 999.5:
        return f"{value / 1000:.2f} s"
    return f"{value:.1f} ms" if abs(value) < 10 else f"{value:,.0f} ms"


def bare_ms(value: float | None) -> str:
    """Milliseconds without the unit, for columns: `4.2`, `163`, `21,400`."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if abs(value) < 10 else f"{value:,.0f}"


def spread(found: Spread) -> str:
    """The spread of broadcasts in milliseconds, without the unit: `166 / p98 170 (n = 60)`.

    Of few broadcasts, or of nobody knows how many, it is the median and the maximum: `166 / max 167 (n = 2)`.
    """
    if found.p50 is None:
        return UNKNOWN
    enough = found.p98 is not None and (found.count or 0) >= SPREAD_TAIL
    tail = f"p98 {bare_ms(found.p98)}" if enough else f"max {bare_ms(found.max)}"
    of = "" if found.count is None else f" (n = {found.count:,})"
    return f"{bare_ms(found.p50)} / {tail}{of}"


def number(value: float | None) -> str:
    """A number to about four figures; very small and very large ones as powers of ten."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if value == int(value) and size < 1e9:
        return f"{int(value):,}"
    if size >= 1e9 or size < 1e-4:
        return power_of_ten(value)
    if size >= 1000:
        return f"{value:,.1f}"
    return f"{value:.4g}" if size >= 1 else f"{value:.3g}"


_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float) -> str:
    """A number with a mantissa of three figures and a power of ten."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} \N{MULTIPLICATION SIGN} 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def dollars(value: float | None) -> str:
    """An amount in dollars and cents."""
    return UNKNOWN if value is None else f"${value:,.2f}"


def percent(part: float, whole: float) -> str:
    """A share in percent, a dash of nothing."""
    if whole <= 0:
        return UNKNOWN
    share = 100 * part / whole
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def times(ratio: float) -> str:
    """A ratio of one or more: `1.4 times`, `43 times`."""
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"


def listing(items: Sequence[str]) -> str:
    """The items as in a sentence: `a`, `a and b`, `a, b and c`."""
    if len(items) <= 1:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
