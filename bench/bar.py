"""How runs go, as bars in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from bench.events import Progress


class Bar:
    """Shows one run: what is being done, then the load's progress."""

    def __init__(self, bars: Bars, title: str, total_s: float) -> None:
        self._bars = bars
        self._task = bars.add_task(title, total=total_s, detail="")

    def step(self, text: str) -> None:
        """What is being done, in words."""
        self._bars.update(self._task, detail=text)

    def progress(self, progress: Progress) -> None:
        """How far the load is."""
        detail = f"{progress.connected} users, {progress.requests} replies, {progress.broadcasts} broadcasts"
        if progress.failed or progress.lost or progress.errors:
            detail += f"; {progress.failed} failed, {progress.lost} lost, {progress.errors} errors"
        self._bars.update(self._task, completed=max(0.0, progress.at_s), detail=detail)

    def done(self) -> None:
        """The run has ended."""
        task = next(task for task in self._bars.tasks if task.id == self._task)
        self._bars.update(self._task, completed=task.total, detail="done")


@contextmanager
def bars(console: Console) -> Iterator[Bars]:
    """Where the bars of several runs are shown, one below the other."""
    with Bars(
        SpinnerColumn(),
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
    ) as shown:
        yield shown
