"""A publication's progress on a terminal; without one, what one should know as lines."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress as rich
from rich.console import Console
from rich.markup import escape


class Bar:
    """A progress bar on a console.

    Args:
        console: where it is shown.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.DownloadColumn(binary_units=True),
            rich.TransferSpeedColumn(),
            rich.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._step = ""
        self._task: rich.TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """Shows it above the bar."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def reading(self, done: int, total: int) -> None:
        """Moves the bar of the disk's reading."""
        self._show("reading the disk", done, total)

    def sending(self, done: int, total: int) -> None:
        """Moves the bar of the blocks' sending."""
        self._show("sending blocks", done, total)

    def waiting(self, snapshot: str) -> None:
        """Shows that AWS is waited for."""
        self._show(f"waiting for {snapshot}", 0, None)

    def _show(self, step: str, done: int, total: int | None) -> None:
        if step != self._step or self._task is None:
            if self._task is not None:
                self._bars.remove_task(self._task)
            # Blocks of an earlier run are no measure of this one's speed: they are where it starts.
            self._task = self._bars.add_task(step, total=total, completed=done)
            self._step = step
        self._bars.update(self._task, completed=done)
