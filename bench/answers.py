"""What the measurements answer, quantity by quantity: derived from the figures, never asserted.

Each architecture is compared with the baseline (or the first one when there is none) and with what the WAN
alone lets one expect. What is compared is the mean of the regions' medians and the 98th percentile over all
users. The median over all users is no good measure here: each region is a cluster of its own, and with as
many users near as far the median lies between two clusters, where a few values move it by tens of
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from bench import costs, floors
from bench.places import name_of
from bench.result import LATENCIES, ArchitectureResult, Result, Summary
from bench.wording import dollars, listing, ms, times

Direction = Literal["faster", "equal", "slower", "mixed", "unknown"]

THRESHOLD: Final = 0.10
"""A change of a percentile by less than this share counts as none."""

NOISE_MS: Final = 5.0
"""So does one by less than this: it is within what a shared machine does to timings."""

TAIL_COUNT: Final = 500
"""A 98th percentile of fewer values is compared with none: less than ten values lie above it."""

COLLAPSE: Final = 5.0
"""A 98th percentile that grows by this factor, or a run that loses users, counts as a collapse."""

TITLES: Final[Mapping[str, str]] = {
    "handshake": "Handshakes",
    "read": "Reads",
    "prediction": "Predictions",
    "broadcast": "Broadcasts",
}
"""The quantities as the report names them."""


@dataclass(frozen=True)
class Verdict:
    """How one architecture compares with the reference in one quantity.

    `median` is the mean of the regions' medians (ms), `p98` the 98th percentile over all users (ms) and
    `tail` what that one says; `expected` is what the WAN's delays alone would make of it.
    """

    architecture: str
    direction: Direction
    median: float | None
    p98: float | None
    tail: Direction
    expected: Direction


@dataclass(frozen=True)
class Answer:
    """The answer for one quantity: a headline, what was found and why, the WAN's share, the verdicts."""

    quantity: str
    headline: str
    sentences: tuple[str, ...]
    detail: str = ""
    verdicts: tuple[Verdict, ...] = ()


def reference(architectures: Mapping[str, ArchitectureResult]) -> str | None:
    """The architecture that the others are compared with."""
    return "baseline" if "baseline" in architectures else next(iter(architectures), None)


def answers(result: Result) -> list[Answer]:
    """An answer per measured quantity, then what blocking database calls do, then the cost."""
    home = home_of(result)
    in_lab = result.run is None or result.run.world == "lab"
    found = [latency_answer(quantity, result.architectures, home, in_lab=in_lab) for quantity in LATENCIES]
    found += [blocking_answer(result), cost_answer(result)]
    return [answer for answer in found if answer is not None]


def home_of(result: Result) -> str:
    """The home region of a result; empty when the result does not say."""
    return result.run.home if result.run else ""


def place_of(home: str) -> str:
    """The home region as the sentences name it."""
    return name_of(home) if home else "the home region"


def compared(value: float | None, against: float | None) -> Direction:
    """Whether a latency is faster than, equal to or slower than another, beyond threshold and noise."""
    if value is None or against is None:
        return "unknown"
    if abs(value - against) <= max(THRESHOLD * against, NOISE_MS):
        return "equal"
    return "faster" if value < against else "slower"


def _together(median: Direction, tail: Direction) -> Direction:
    """The verdict of median and tail: the one that moved, `mixed` when they moved apart."""
    if median == "unknown" or tail == "unknown":
        return median
    if {median, tail} == {"faster", "slower"}:
        return "mixed"
    return median if median != "equal" else tail


def verdicts(
    quantity: str, architectures: Mapping[str, ArchitectureResult], home: str
) -> tuple[Verdict, ...]:
    """The verdicts of a quantity; the first is the reference's own."""
    name = reference(architectures)
    if name is None:
        return ()
    medians = typical_ms(quantity, architectures)
    base = _overall(architectures[name], quantity)
    base_floor = floors.mean_floor_ms(quantity, architectures[name], home)
    found = []
    for other, measured in sorted(architectures.items(), key=lambda item: item[0] != name):
        overall = _overall(measured, quantity)
        enough = min(overall.count, base.count) >= TAIL_COUNT
        tail = compared(overall.p98, base.p98) if enough else "unknown"
        direction = _together(compared(medians[other], medians[name]), tail)
        expected = compared(floors.mean_floor_ms(quantity, measured, home), base_floor)
        found.append(Verdict(other, direction, medians[other], overall.p98, tail, expected))
    return tuple(found)


def typical_ms(quantity: str, architectures: Mapping[str, ArchitectureResult]) -> dict[str, float | None]:
    """Per architecture the mean of the regions' medians (ms), over the regions that all of them measured.

    Where there is no such region it is the median over all users.
    """
    medians = {
        name: {region: s.p50 for region, s in run.latency_ms[quantity].by_region.items() if s.p50 is not None}
        for name, run in architectures.items()
        if quantity in run.latency_ms and run.latency_ms[quantity].all.count
    }
    shared = set.intersection(*(set(found) for found in medians.values())) if medians else set()
    if not shared:
        return {name: _overall(run, quantity).p50 for name, run in architectures.items()}
    return {
        name: fmean(medians[name][region] for region in shared) if name in medians else None
        for name in architectures
    }


def _overall(measured: ArchitectureResult, quantity: str) -> Summary:
    latency = measured.latency_ms.get(quantity)
    return latency.all if latency else Summary(0)


def latency_answer(
    quantity: str, architectures: Mapping[str, ArchitectureResult], home: str, *, in_lab: bool = True
) -> Answer | None:
    """The answer for one quantity; None when no architecture was run.

    Args:
        quantity: one of `LATENCIES`.
        architectures: the runs, by name.
        home: the region of the writes.
        in_lab: whether all machines of an architecture shared those of one.
    """
    found = verdicts(quantity, architectures, home)
    if not found:
        return None
    base, others = found[0], found[1:]
    title = TITLES.get(quantity, quantity.capitalize())
    if base.median is None:
        return Answer(
            quantity, f"{title}: not measured", (f"{base.architecture} counted none.",), verdicts=found
        )
    detail = _detail(quantity, architectures, home)
    if not others:
        sentence = (
            f"In {base.architecture} the regions' medians are {ms(base.median)} on average, "
            f"the 98th percentile over all users is {ms(base.p98)}."
        )
        return Answer(quantity, f"{title}: {ms(base.median)}", (sentence,), detail, found)
    sentences = (_comparison(found), *_reasons(quantity, base, others, home, in_lab=in_lab))
    return Answer(quantity, _headline(title, quantity, others), sentences, detail, found)


def _headline(title: str, quantity: str, others: Sequence[Verdict]) -> str:
    bursts = [v.architecture for v in others if _is_burst(quantity, v)]
    if bursts and all(v.architecture in bursts or v.direction == "equal" for v in others):
        return f"{title}: equal by distance, a shorter burst in {listing(bursts)}"
    by = {direction: [v.architecture for v in others if v.direction == direction] for direction in _WORDS}
    if len(others) > 1 and by["equal"] == [v.architecture for v in others]:
        return f"{title}: equal everywhere"
    parts = []
    for direction, word in _WORDS.items():
        names = by[direction]
        if names:
            only = " only" if direction == "faster" and len(names) < len(others) else ""
            parts.append(f"{word} {listing(names)}{only}")
    return f"{title}: {', '.join(parts)}"


_WORDS: Final[Mapping[str, str]] = {
    "faster": "faster in",
    "equal": "equal in",
    "slower": "slower in",
    "mixed": "mixed in",
    "unknown": "not measured in",
}


def _is_burst(quantity: str, verdict: Verdict) -> bool:
    """Whether a broadcast was faster although the way is as long: its deliveries queued for less time."""
    return quantity == "broadcast" and (verdict.direction, verdict.expected) == ("faster", "equal")


def _comparison(found: Sequence[Verdict]) -> str:
    base = found[0]
    medians = [f"{ms(base.median)} in {base.architecture}"]
    for verdict in found[1:]:
        if verdict.direction == "unknown":
            medians.append(f"not measured in {verdict.architecture}")
        else:
            medians.append(f"{ms(verdict.median)} in {verdict.architecture} ({_change(base, verdict)})")
    slow = listing([ms(verdict.p98) for verdict in found if verdict.median is not None])
    return (
        f"The regions' medians are on average {listing(medians)}; "
        f"the 98th percentile over all users is {slow}."
    )


def _change(base: Verdict, verdict: Verdict) -> str:
    """How an architecture differs from the reference, in words: in its median, else in its slowest users."""
    parts = []
    for direction, value, against, what in (
        (compared(verdict.median, base.median), verdict.median, base.median, ""),
        (verdict.tail, verdict.p98, base.p98, " at the 98th percentile"),
    ):
        if direction in ("faster", "slower") and value and against:
            parts.append((direction, f"{times(max(value, against) / min(value, against))} {direction}{what}"))
    if len(parts) == 2 and parts[0][0] == parts[1][0]:
        parts.pop()
    return listing([text for _, text in parts]) or "no difference"


def _detail(quantity: str, architectures: Mapping[str, ArchitectureResult], home: str) -> str:
    """The WAN's share and what the service adds to it; empty when the facts do not tell."""
    known = []
    for name, measured in architectures.items():
        floor = floors.mean_floor_ms(quantity, measured, home)
        added = floors.added_ms(quantity, measured, home)
        if floor is not None and added is not None:
            known.append((name, floor, added))
    if not known:
        return ""
    shares = listing([f"{ms(floor)} in {name}" for name, floor, _ in known])
    extra = listing([f"{ms(added)} in {name}" for name, _, added in known])
    way = _WAYS.get(quantity, "The WAN alone").format(home=place_of(home))
    return f"{way}: {shares}. Above it the regions' medians are {extra}."


_WAYS: Final[Mapping[str, str]] = {
    "handshake": "The WAN alone takes three round trips to the node (TCP, TLS, upgrade)",
    "read": "The WAN alone takes a round trip to the node and on to where it reads",
    "prediction": "The WAN alone takes a round trip by the node to {home}",
    "broadcast": "The WAN alone takes the way from {home} by the node to the user",
}


def _reasons(
    quantity: str, base: Verdict, others: Sequence[Verdict], home: str, *, in_lab: bool
) -> list[str]:
    """Whether the measurement is what the WAN's delays let one expect, and the reason where it is."""
    told = [v for v in others if "unknown" not in (v.direction, v.expected)]
    agree = [v for v in told if v.direction == v.expected]
    sentences = []
    faster = [v.architecture for v in agree if v.direction == "faster"]
    if faster:
        nearer = {"handshake": "the node is near the user", "read": "the data is near the node"}
        sentences.append(
            f"In {listing(faster)} {nearer.get(quantity, 'the way is shorter')}: the gain is the WAN's."
        )
    equal = [v.architecture for v in agree if v.direction == "equal"]
    if equal and quantity in ("prediction", "broadcast"):
        they, do = ("they", "do") if len(equal) > 1 else ("it", "does")
        sentences.append(
            f"Each passes through {place_of(home)} in {listing([base.architecture, *equal])} alike: "
            f"{listing(equal)} can at best equal {base.architecture}, as {they} {do} here, until regions "
            "accept writes themselves."
        )
    elif equal:
        sentences.append(
            f"In {listing(equal)} the way is as long as in {base.architecture}: nothing is gained."
        )
    bursts = [v.architecture for v in told if _is_burst(quantity, v)]
    if bursts:
        sentences.append(
            f"The way through {place_of(home)} is equally long in {listing([base.architecture, *bursts])}. "
            "What differs is the burst: a broadcast is a delivery to every user at once, which one node "
            f"writes one after the other and the nodes of {listing(bursts)} share."
            + (
                " In the lab they all share this machine's cores, so how long a burst takes is this machine's"
                " figure; the way is the WAN's."
                if in_lab
                else ""
            )
        )
    for v in told:
        if v not in agree and v.architecture not in bursts:
            sentences.append(
                f"By the WAN's delays alone {v.architecture} would be {v.expected}; it is {v.direction}. "
                "Something else decides: see the errors, the load generator's lag and the utilisation."
            )
    return sentences


def blocking_answer(result: Result) -> Answer | None:
    """What blocking database calls do to a prediction; None without the control."""
    pairs = [
        (name, result.architectures[name], blocked)
        for name, blocked in result.blocking.items()
        if name in result.architectures
    ]
    if not pairs:
        return None
    collapsed: list[str] = []
    held: list[str] = []
    parts: list[str] = []
    for name, free, blocked in pairs:
        (collapsed if collapses(free, blocked) else held).append(name)
        before, after = _overall(free, "prediction").p98, _overall(blocked, "prediction").p98
        lost = blocked.users.requested - blocked.users.connected + blocked.users.lost
        users = f", and {lost:,} of {blocked.users.requested:,} users not connected or lost" if lost else ""
        parts.append(f"{name} {ms(after)} instead of {ms(before)}{users}")
    sentences = [f"With blocking database calls the 98th percentile of a prediction is: {'; '.join(parts)}."]
    if collapsed:
        sentences.append(
            "Places, machines, load and code are the same, and only the database calls differ: distance "
            "makes each call long, blocking makes everybody on the process wait for it. Without blocking, "
            "the same distance does not do that."
        )
        if held:
            held_word = "hold" if len(held) > 1 else "holds"
            sentences.append(f"At this load {listing(held)} {held_word}: the calls return soon enough.")
        headline = f"Blocking database calls: collapse of {listing(collapsed)}"
    else:
        sentences.append(
            f"None of them grew {COLLAPSE:g}-fold or lost users: at this load the control shows no collapse."
        )
        headline = "Blocking database calls: no collapse at this load"
    return Answer("blocking", headline, tuple(sentences))


def collapses(free: ArchitectureResult, blocked: ArchitectureResult) -> bool:
    """Whether the control grew its prediction p98 by `COLLAPSE`, or lost users that the other kept."""
    before, after = _overall(free, "prediction").p98, _overall(blocked, "prediction").p98
    grew = before is not None and after is not None and after >= COLLAPSE * before
    unserved = before is not None and after is None
    fewer = blocked.users.connected - blocked.users.lost < 0.95 * (free.users.connected - free.users.lost)
    return grew or unserved or fewer


def cost_answer(result: Result) -> Answer | None:
    """What an hour of each architecture costs against the reference."""
    name = reference(result.architectures)
    if name is None:
        return None
    base = result.architectures[name].cost_per_hour
    parts = [f"{name} {dollars(base)}"]
    for other, measured in result.architectures.items():
        if other != name:
            ratio = f", {times(measured.cost_per_hour / base)} as much" if base > 0 else ""
            parts.append(f"{other} {dollars(measured.cost_per_hour)}{ratio}")
    dearest = max(result.architectures, key=lambda key: result.architectures[key].cost_per_hour)
    headline = f"Cost: {dollars(base)} an hour"
    if dearest != name:
        headline = f"Cost: up to {dollars(result.architectures[dearest].cost_per_hour)} an hour"
    detail = " ".join(costs.basis(result.architectures))
    return Answer("cost", headline, (f"An hour costs: {'; '.join(parts)}.",), detail)
