"""What messages are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

RequestId = Annotated[int, Meta(ge=0, lt=2**53)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
OptionIndex = Annotated[int, Meta(ge=0, lt=64)]
Stake = Annotated[int, Meta(gt=0, le=10**12)]
Token = Annotated[str, Meta(min_length=1, max_length=2048)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Options = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=2, max_length=64)
]
Cursor = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[0-9-]+\Z")]
PageSize = Annotated[int, Meta(ge=1, le=100)]
Permille = Annotated[int, Meta(ge=0, le=1000)]
TimeMs = Annotated[int, Meta(ge=0, lt=2**53)]
"""Milliseconds since 1970."""

GameStatus = Literal["scheduled", "live", "finished"]
PoolStatus = Literal["open", "closed", "resolving", "resolved", "voided"]
Audience = Literal["everyone", "friends"]


class Position(Struct, frozen=True, forbid_unknown_fields=True):
    """A place in a game's one order of pushes: `offset` counts them from 1, without gaps in an `epoch`."""

    epoch: Annotated[int, Meta(ge=0, lt=2**53)]
    offset: Annotated[int, Meta(ge=0, lt=2**53)]

    def is_after(self, other: Position) -> bool:
        """Whether it is the later one; every epoch is greater than those before it."""
        return (self.epoch, self.offset) > (other.epoch, other.offset)


class Game(Struct, frozen=True):
    """A match that users predict."""

    id: str
    title: str
    status: str


class Pool(Struct, frozen=True):
    """A question with its options, the stake on each (minor units) and the number of predictions.

    `epoch` and `offset` are the position of the last distribution that was sent of it, (0, 0) when none was.
    `winners` are the winning options of a resolved pool; `asker` is the user who asked the question.
    """

    id: str
    question: str
    status: str
    options: list[str]
    totals: list[int]
    predictions: int
    epoch: int
    offset: int
    winners: list[int] = []
    asker: str | None = None
    audience: Audience = "everyone"
    closes_at_ms: int | None = None


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """The distribution passes a mark: an option's share of all stakes is at least, or at most, so much."""

    option: OptionIndex
    share: Permille
    passes: Literal["at_least", "at_most"]


class Order(Struct, frozen=True):
    """A standing order: place this once the distribution meets the condition."""

    key: str
    game: str
    pool: str
    option: int
    stake: int
    when: Condition


class Transaction(Struct, frozen=True):
    """A change of an account: `amount` (minor units) is negative when it was taken.

    `epoch` and `journal_id` are its place in the journal; `balance` is what was left after it.
    """

    kind: str
    amount: int
    balance: int
    epoch: int
    journal_id: str
    key: str | None = None
    game: str | None = None
    pool: str | None = None


class FriendPrediction(Struct, frozen=True):
    """A prediction of a friend."""

    user: str
    option: int
    stake: int
    epoch: int
    journal_id: str


class Seen(Struct, frozen=True):
    """A push that a process has: its offset, and the first 16 digits of its frame's SHA-256."""

    offset: int
    digest: str


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """What decides a pool: the first event of that kind, for the option that `options` gives for its value.

    `field` names the event's datum, e.g. `team`; an event whose value is not in `options` decides nothing,
    unless `otherwise` names an option.
    """

    event: Name
    field: Name
    options: dict[str, OptionIndex]
    otherwise: OptionIndex | None = None


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that happened in a match. `id` makes it unique, `sequence` orders the events of a game."""

    game: Name
    id: Name
    sequence: Annotated[int, Meta(ge=0, lt=2**53)]
    kind: Name
    at_ms: TimeMs
    data: dict[Name, Annotated[str, Meta(max_length=200)]] = {}


class EventOutcome(Struct, frozen=True):
    """An event was taken, now or before (`duplicate`), or refused: then it has the numbered error."""

    event: str
    duplicate: bool = False
    code: int | None = None
    message: str | None = None


JsonObject = dict[str, Any]
