"""Which connections of this process are whose."""

from __future__ import annotations

from typing import Generic, TypeVar

C = TypeVar("C")


class UserConnections(Generic[C]):
    """The open connections of each user, the oldest first.

    Nearly every user has one: a tuple of one takes the least memory.
    """

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[str, tuple[C, ...]] = {}

    def add(self, user: str, connection: C, limit: int) -> C | None:
        """A connection is this user's.

        Args:
            user: whose it is.
            connection: it; one that is there already stays where it is.
            limit: how many the user may have, 0 for any number.

        Returns:
            The user's oldest connection, no longer counted, when there are more than `limit` else.
        """
        mine = self._of.get(user, ())
        if connection in mine:
            return None
        oldest = None
        if limit and len(mine) >= limit:
            oldest, *rest = mine
            mine = tuple(rest)
        self._of[user] = (*mine, connection)
        return oldest

    def remove(self, user: str, connection: C) -> None:
        """A connection is gone."""
        rest = tuple(other for other in self._of.get(user, ()) if other is not connection)
        if rest:
            self._of[user] = rest
        else:
            self._of.pop(user, None)

    def of(self, user: str) -> tuple[C, ...]:
        """A user's connections, the oldest first."""
        return self._of.get(user, ())

    def __len__(self) -> int:
        """How many users have a connection."""
        return len(self._of)
