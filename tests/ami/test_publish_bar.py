"""Whoever waits at a terminal sees how far it is; elsewhere there are only the lines that one should know."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from ami.publish.bar import Bar


def shown(*, terminal: bool) -> str:
    """What a console has been written after a publication."""
    console = Console(file=StringIO(), force_terminal=terminal, width=100, emoji=False)
    with Bar(console) as bar:
        bar.reading(2**20, 2**30)
        bar.note("[going on] with :snap:")
        bar.sending(0, 2**29)
        bar._bars.refresh()
        bar.sending(2**28, 2**29)
        bar._bars.refresh()
        bar.waiting("snap-1")
        bar._bars.refresh()
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "step", ["reading the disk", "sending blocks", "256.0/512.0 MiB", "waiting for snap-1"]
)
def test_a_terminal_shows_every_step(step: str) -> None:
    assert step in shown(terminal=True)


def test_elsewhere_only_notes_are_written_as_they_are() -> None:
    assert shown(terminal=False) == "[going on] with :snap:\n"
