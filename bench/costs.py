"""What the cost of an architecture rests on, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from bench.result import ArchitectureResult


def basis(architectures: Mapping[str, ArchitectureResult]) -> list[str]:
    """The prices that were taken and those that were estimated: first what holds for all, then by name."""
    notes = {name: list(dict.fromkeys(run.cost_notes)) for name, run in architectures.items()}
    shared = [note for note in next(iter(notes.values()), []) if all(note in own for own in notes.values())]
    together = "; ".join(shared)
    sentences = [f"{together[0].upper()}{together[1:]}."] if together else []
    for name, own in notes.items():
        if apart := [note for note in own if note not in shared]:
            sentences.append(f"{name}: {'; '.join(apart)}.")
    return sentences
