"""What a process has of a game's one order of pushes: where it stands, and the newest of them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from market.frames import text_frame
from market.protocol import Distribution, Position, decode_push
from market.scripts import HISTORY_LENGTH

START: Final = Position(0, 0)
"""Where a game stands of which nothing was ever sent."""


class Sending(NamedTuple):
    """A push on its way to clients.

    `pool` is given of a distribution, which a later one of the same pool supersedes; everything else is
    kept for whoever is slow. `published_us` is 0 of what this process says itself. `only` is the version of
    the protocol whose clients get it, None when all do.
    """

    position: Position
    pool: str | None
    frame: bytes
    published_us: int = 0
    only: int | None = None


def read_push(payload: bytes) -> tuple[str, Sending]:
    """The game of a push as the channel carries it, and the push; raises `msgspec.DecodeError`."""
    push = decode_push(payload)
    pool, only = (push.pool, None) if isinstance(push, Distribution) else (None, 2)
    position = Position(push.epoch, push.offset)
    return push.game, Sending(position, pool, text_frame(payload), push.published_us, only)


class History:
    """The position and the newest pushes, without gaps up to it."""

    def __init__(self) -> None:
        self.position = START
        self._pushes: deque[Sending] = deque(maxlen=HISTORY_LENGTH)

    def __iter__(self) -> Iterator[Sending]:
        return iter(self._pushes)

    def follows(self, sending: Sending) -> bool:
        """Whether the push is the next one."""
        epoch, offset = sending.position.epoch, sending.position.offset
        if self.position == START:
            return offset == 1
        return epoch == self.position.epoch and offset == self.position.offset + 1

    def has(self, sending: Sending) -> bool:
        """Whether the push is one of those up to the position."""
        return sending.position.epoch == self.position.epoch and (
            sending.position.offset <= self.position.offset
        )

    def append(self, sending: Sending) -> None:
        """Take the next push, which must follow."""
        self.position = sending.position
        self._pushes.append(sending)

    def replace(self, position: Position, pushes: Iterable[Sending]) -> None:
        """Begin anew at a position, with the newest pushes up to it."""
        self.position = position
        self._pushes.clear()
        self._pushes.extend(pushes)

    def between(self, since: Position, until: Position) -> list[Sending] | None:
        """The pushes after `since` up to `until`, in their order; None when not all of them are there."""
        if since == until:
            return []
        if since != START and since.epoch != until.epoch:
            return None
        found = [
            push
            for push in self._pushes
            if push.position.epoch == until.epoch and since.offset < push.position.offset <= until.offset
        ]
        complete = len(found) == until.offset - since.offset
        return found if complete else None


def digest(sending: Sending) -> str:
    """What two processes compare of a push: the first 16 digits of its frame's SHA-256."""
    return hashlib.sha256(sending.frame).hexdigest()[:16]


class Recent(NamedTuple):
    """Where a game's channel stands in Redis, and the newest pushes up to there."""

    position: Position
    pushes: list[Sending]


def read_recent(reply: list[Any]) -> Recent:
    """The answer of the script `recent`; raises `msgspec.DecodeError` for what is no push."""
    epoch, offset, payloads = reply
    pushes = [read_push(payload)[1] for payload in payloads]
    return Recent(Position(int(epoch), int(offset)), pushes)


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, ValueError)
