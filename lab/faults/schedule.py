"""Which faults strike when nobody chose them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from lab.faults.actions import Fault

SHORTEST: Final = 0.25
LONGEST: Final = 2.0
"""Bounds of a fault's duration in a soak, as a share of the one that it has in the suite."""


def soak(faults: Sequence[Fault], seed: int) -> Iterator[Fault]:
    """Faults without end: every one once in a random order, then again in another, none twice in a row.

    How long each lasts is random too. The same seed gives the same faults.

    Raises:
        ValueError: when there are none.
    """
    if not faults:
        raise ValueError("name at least one fault")
    random = Random(seed)  # noqa: S311 (a soak has to be repeatable)
    last: Fault | None = None
    while True:
        order = random.sample(faults, len(faults))
        if last is not None and order[0].name == last.name:
            order.append(order.pop(0))
        for last in order:
            share = random.uniform(SHORTEST, LONGEST)
            yield replace(last, lasts_s=round(last.lasts_s * share, 1))
