"""What the clients of the load write down, one line of JSON each; times are of `time.monotonic` (s)."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, array_like=True, tag_field="event"):
    """What every record has."""

    at_s: float


class Joined(Event, frozen=True, tag="joined"):
    """A user is connected and has joined the game; `connection` counts a user's connections.

    `state` is the server's word: `new`, `recovered` when all pushes after the last one that was received
    follow, `lost` when they are gone and all pushes after (`epoch`, `offset`) follow.
    """

    user: str
    connection: int
    state: str
    epoch: int
    offset: int


class StateLost(Event, frozen=True, tag="state_lost"):
    """The server said that pushes up to this place are gone."""

    user: str
    connection: int
    epoch: int
    offset: int


class Lost(Event, frozen=True, tag="lost"):
    """A connection that had joined ended with this close code."""

    user: str
    connection: int
    code: int


class Failed(Event, frozen=True, tag="failed"):
    """A user could not connect."""

    user: str
    why: str


class Sent(Event, frozen=True, tag="sent"):
    """A prediction was sent for the first time."""

    user: str
    key: str
    pool: str
    option: int
    stake: int


class Acknowledged(Event, frozen=True, tag="acknowledged"):
    """A prediction was answered with its receipt; `sent_s` is when it was last sent."""

    user: str
    key: str
    sent_s: float
    epoch: int
    journal_id: str
    duplicate: bool


class Refused(Event, frozen=True, tag="refused"):
    """A prediction was refused for good."""

    user: str
    key: str
    code: int


class Pushed(Event, frozen=True, tag="pushed"):
    """A push of the game was received; `content` is what it says beside its place."""

    user: str
    connection: int
    epoch: int
    offset: int
    content: str


class Idle(Event, frozen=True, tag="idle"):
    """The answer to a pause: everyone is connected, and nothing waits for an answer."""

    pause: int


Record = Joined | StateLost | Lost | Failed | Sent | Acknowledged | Refused | Pushed | Idle

encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Record).decode
