"""Meters from a file of inputs: reading it, with every mistake reported at once, and working it out.

A file is a JSON object with any of these parts::

    {"crum": {"cpu", "memory", "disk"},
     "spm": {"broadcast_ms", "request_ms", "handshake_ms", "network_in_bytes", "network_out_bytes"},
     "slm": {"connections", "requests", "redis_hits", "redis_misses", "mysql_queries"},
     "cost_per_hour": ...}

Any input may be `{"min", "avg", "max"}` instead of a number, and a number (or such a range) in the place of
a part is that meter's value.

A range of latencies or of costs says what was measured: the least and the most milliseconds or dollars. A
meter's minimum stands for the worst moment, so it takes the larger of the two, and its maximum the smaller
(the thesis: the minimum of SPM uses the 98th-percentile latencies with the minimum network, the maximum the
minimum latencies with the maximum network). So the figures may be written in either order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from bench import meters
from bench.errors import BenchError


class Triple(NamedTuple):
    """The minimum, average and maximum of an input or a meter."""

    min: float
    avg: float
    max: float


Value = float | Triple

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "crum": ("cpu", "memory", "disk"),
    "spm": ("broadcast_ms", "request_ms", "handshake_ms", "network_in_bytes", "network_out_bytes"),
    "slm": ("connections", "requests", "redis_hits", "redis_misses", "mysql_queries"),
}
"""The inputs of each meter, in the order in which they stand round the polygon."""

COST: Final = "cost_per_hour"
DIVISORS: Final = frozenset({"broadcast_ms", "request_ms", "handshake_ms", COST})
"""Inputs of which a meter takes the inverse: zero is a mistake, and more is worse."""

_FORMULAS: Final[Mapping[str, Callable[..., float]]] = {
    "crum": meters.crum,
    "spm": meters.spm,
    "slm": meters.slm,
}


class InputError(BenchError):
    """The file of inputs is wrong; `mistakes` holds a sentence for each, beginning with its key."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class Inputs:
    """What a file holds: for each meter its value or its inputs, and the cost in dollars per hour."""

    parts: Mapping[str, Value | Mapping[str, Value]] = field(default_factory=dict)
    cost_per_hour: Value | None = None


def load(path: Path) -> Inputs:
    """The inputs in a file.

    Raises:
        InputError: the file cannot be read, or is not as described above.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror or error}"]) from None
    except UnicodeDecodeError:
        raise InputError([f"{path}: is not UTF-8 text"]) from None
    return parse(text)


def parse(text: str) -> Inputs:
    """The inputs in a JSON text.

    Raises:
        InputError: with every mistake.
    """
    reader = _Reader()
    try:
        data = json.loads(text, object_pairs_hook=reader.pairs, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise InputError([f"the file is not JSON: {error}"]) from None
    inputs = reader.inputs(data)
    if reader.mistakes:
        raise InputError(reader.mistakes)
    return inputs


class _Reader:
    """Reads the parts and collects what is wrong with them."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def pairs(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            self.mistakes += [f"{name}: is given twice in one object" for name in twice]
        return seen

    def inputs(self, data: object) -> Inputs:
        if not isinstance(data, dict):
            self.mistakes.append(f"the file: has to be an object with {', '.join(PARTS)} or {COST}")
            return Inputs()
        self._unknown("", data, (*PARTS, COST))
        parts = {name: self._part(name, data[name]) for name in PARTS if name in data}
        return Inputs(parts, self._value(COST, COST, data[COST]) if COST in data else None)

    def _part(self, part: str, raw: object) -> Value | Mapping[str, Value]:
        names = PARTS[part]
        if not isinstance(raw, dict) or (raw and not set(raw) - set(Triple._fields)):
            return self._value(part, part, raw)
        self._unknown(f"{part}.", raw, names)
        self._missing(f"{part}.", raw, names)
        return {name: self._value(f"{part}.{name}", name, raw[name]) for name in names if name in raw}

    def _value(self, key: str, name: str, raw: object) -> Value:
        if not isinstance(raw, dict):
            return self._number(key, name, raw)
        before = len(self.mistakes)
        self._unknown(f"{key}.", raw, Triple._fields)
        self._missing(f"{key}.", raw, Triple._fields)
        numbers = {x: self._number(f"{key}.{x}", name, raw[x]) for x in Triple._fields if x in raw}
        if len(self.mistakes) > before:
            return math.nan
        if name not in DIVISORS and numbers["min"] > numbers["max"]:
            self.mistakes.append(f"{key}: min is above max")
        return Triple(**numbers)

    def _number(self, key: str, name: str, raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            self.mistakes.append(f"{key}: has to be a number or min, avg and max, not {_shown(raw)}")
        elif not math.isfinite(raw):
            self.mistakes.append(f"{key}: has to be finite, not {raw}")
        elif name in DIVISORS and raw <= 0:
            self.mistakes.append(f"{key}: has to be above zero, not {raw:g}")
        elif raw < 0:
            self.mistakes.append(f"{key}: has to be zero or more, not {raw:g}")
        else:
            return float(raw)
        return math.nan

    def _unknown(self, prefix: str, raw: Mapping[str, object], names: Sequence[str]) -> None:
        for name in raw:
            if name not in names:
                self.mistakes.append(f"{prefix}{name}: is not known; there are {', '.join(names)}")

    def _missing(self, prefix: str, raw: Mapping[str, object], names: Sequence[str]) -> None:
        self.mistakes += [f"{prefix}{name}: is missing" for name in names if name not in raw]


def _shown(raw: object) -> str:
    text = json.dumps(raw)
    return text if len(text) <= 40 else f"{text[:40]}…"


def compute(inputs: Inputs) -> dict[str, object]:
    """The meters of the inputs, by the file's keys, with `sec`, `ess` and `esr` where they can be had.

    Each is a number, or `{"min", "avg", "max"}` when one of its inputs was. `slm` is in units of 10¹². What
    the inputs leave undefined (a ratio to a capacity of zero) is None.

    Raises:
        InputError: a meter is too large to be computed.
    """
    found: dict[str, Value] = {}
    mistakes: list[str] = []
    for name, part in inputs.parts.items():
        try:
            found[name] = (
                _applied(_FORMULAS[name], {key: part[key] for key in PARTS[name]})
                if isinstance(part, Mapping)
                else part
            )
        except meters.MeterError as error:
            mistakes.append(f"{name}: {error}")
    cost = inputs.cost_per_hour
    answer: dict[str, object] = {name: _plain(value) for name, value in found.items()}
    if cost is not None:
        answer[COST] = _plain(cost)
    if cost is not None and set(found) == set(PARTS):
        try:
            capacity = _applied(
                meters.sec, {"slm": found["slm"], "spm": found["spm"], "crum": found["crum"], COST: cost}
            )
            answer |= {"sec": _plain(capacity)} | _scalability(found["spm"], capacity)
        except meters.MeterError as error:
            mistakes.append(f"sec: {error}")
    if mistakes:
        raise InputError(mistakes)
    return answer


def _scalability(performance: Value, capacity: Value) -> dict[str, object]:
    if not isinstance(capacity, Triple):
        return {}
    least, most = capacity.min, capacity.max
    found: dict[str, object] = {}
    if isinstance(performance, Triple):
        found["ess"] = defined(meters.ess, performance.min, performance.max, least, most)
    found["esr"] = {
        "difference": meters.esr_difference(least, most),
        "ratio": defined(meters.esr_ratio, least, most),
    }
    return found


def defined(formula: Callable[..., float], *values: float) -> float | None:
    """What a formula gives for these values, or None where it is not defined."""
    try:
        value = formula(*values)
    except meters.MeterError:
        return None
    return value if math.isfinite(value) else None


def _applied(formula: Callable[..., float], values: Mapping[str, Value]) -> Value:
    if not any(isinstance(value, Triple) for value in values.values()):
        return formula(**values)
    return Triple(
        *(formula(**{name: at(name, value, x) for name, value in values.items()}) for x in Triple._fields)
    )


def at(name: str, value: Value, point: str) -> float:
    """What an input contributes to a meter's `min`, `avg` or `max`: of a divisor the other extreme."""
    if not isinstance(value, Triple):
        return value
    if name in DIVISORS and point != "avg":
        return max(value.min, value.max) if point == "min" else min(value.min, value.max)
    return {"min": value.min, "avg": value.avg, "max": value.max}[point]


def _plain(value: Value) -> object:
    return value._asdict() if isinstance(value, Triple) else value
