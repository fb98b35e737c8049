"""How a publication tells whoever waits for it what it does."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told what a publication does; the methods are never called at the same time."""

    def note(self, text: str) -> None:
        """Something that one should know."""

    def reading(self, done: int, total: int) -> None:
        """So many bytes of the disk have been looked at."""

    def sending(self, done: int, total: int) -> None:
        """So many bytes of all that is to be sent are at AWS."""

    def waiting(self, snapshot: str) -> None:
        """All is sent; AWS completes the snapshot."""


class Silent:
    """Tells nobody."""

    def note(self, text: str) -> None:
        """Nothing."""

    def reading(self, done: int, total: int) -> None:
        """Nothing."""

    def sending(self, done: int, total: int) -> None:
        """Nothing."""

    def waiting(self, snapshot: str) -> None:
        """Nothing."""
