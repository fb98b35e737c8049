"""The errors of `infra`, all under one root."""

from __future__ import annotations

from collections.abc import Sequence


class InfraError(Exception):
    """The root of the errors that `infra` raises."""


class StackFileError(InfraError):
    """A stack file has mistakes; `mistakes` has all of them, each with its key."""

    def __init__(self, file: str, mistakes: Sequence[str]) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join([f"{file}:", *(f"  {mistake}" for mistake in mistakes)]))
