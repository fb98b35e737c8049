"""The start of all load machines at one time, and how far they are together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bench import coordinator
from bench.events import Progress
from fleet.job import Keys
from fleet.store import Store

PROGRESS_S: Final = 5.0
"""How often progress is looked for while the load runs."""


@dataclass(frozen=True)
class Telling:
    """Who is told how a run goes: what is being done, in words, and how far the load is."""

    step: Callable[[str], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None


class Board:
    """Looks at what machines leave: that they are ready, and then how far they are, as one.

    Args:
        run: the run's name.
        lead_s: from all machines' being ready to the start.
        store: the stack's bucket.
        names: the machines of the run.
        telling: who is told.
    """

    def __init__(self, run: str, lead_s: float, store: Store, names: Sequence[str], telling: Telling) -> None:
        self._lead_s = lead_s
        self._store = store
        self._keys = Keys(run)
        self._names = names
        self._telling = telling
        self._looked_at_s = 0.0
        self._started = False

    def look(self) -> None:
        """Have all start when all are ready; then tell how far they are."""
        now_s = time.monotonic()
        if self._started and now_s - self._looked_at_s < PROGRESS_S:
            return
        self._looked_at_s = now_s
        there = self._store.keys(self._keys.results)
        if not self._started:
            self._start(sum(self._keys.ready(name) in there for name in self._names))
            return
        parts = [
            msgspec.json.decode(self._store.get(key), type=Progress)
            for key in map(self._keys.progress, self._names)
            if key in there
        ]
        if parts:
            self._telling.progress(coordinator.together(parts))

    def _start(self, ready: int) -> None:
        self._telling.step(f"{ready} of {len(self._names)} machines are ready")
        if ready == len(self._names):
            self._started = True
            self._store.put(self._keys.start, f"{time.time() + self._lead_s:.3f}".encode())
            self._telling.step("running the load")
