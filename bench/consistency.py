"""Whether all nodes have one order of a game's pushes: their views compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from market.protocol import View

MAX_LAG: Final = 2
"""Pushes that a process may be behind the first: those on their way, at one per pool and 3 s."""


@dataclass(frozen=True)
class Difference:
    """What is not the same everywhere.

    Attributes:
        process: the process that differs.
        message: in what.
    """

    process: str
    message: str


def differences(views: Sequence[View], max_lag: int = MAX_LAG) -> list[Difference]:
    """What the views of the processes differ in, none when all have the same order.

    Two processes may be at different places of the order, since a push takes its time to each region: a
    process is named when it is more than `max_lag` pushes behind the first, in another epoch, has a gap, or
    has another push than most at the same place.
    """
    if not views:
        return []
    epoch, first = max((view.epoch, view.offset) for view in views)
    digests: dict[int, Counter[str]] = {}
    for view in views:
        if view.epoch == epoch:
            for push in view.pushes:
                digests.setdefault(push.offset, Counter())[push.digest] += 1
    agreed = {offset: counter.most_common(1)[0][0] for offset, counter in digests.items()}
    found = []
    for view in views:
        if view.epoch != epoch:
            found.append(Difference(view.process, f"is in epoch {view.epoch} instead of {epoch}"))
            continue
        found += [Difference(view.process, message) for message in _faults(view, agreed)]
        if first - view.offset > max_lag:
            found.append(Difference(view.process, f"is {first - view.offset} pushes behind the first"))
    return found


def _faults(view: View, agreed: dict[int, str]) -> list[str]:
    offsets = [push.offset for push in view.pushes]
    faults = []
    if offsets != list(range(view.offset - len(offsets) + 1, view.offset + 1)):
        faults.append(f"has a gap among its pushes up to {view.offset}")
    other = [push.offset for push in view.pushes if agreed[push.offset] != push.digest]
    if other:
        faults.append(f"has other pushes at the offsets {', '.join(map(str, other))}")
    return faults
