"""How a message's type is written."""

from __future__ import annotations


def snake(name: str) -> str:
    """A class's name in lower case with underscores: `ListGames` is `list_games`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
