"""The journal: what its entries hold, and how they are read from the stream.

An entry is one thing that happened. Its place is the epoch in which it was written and its id in the stream
(ms since 1970 by the master's clock, and a count within the ms); places have one order, which is that of the
stream. A batch of the API's commands is one entry of the kind `command`, whose body has one `Command` each.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from market.limits import MAX_MONEY
from market.protocol import Name, OptionIndex, Stake

Kind = Literal[
    "prediction",
    "cancellation",
    "deposit",
    "winnings",
    "refund",
    "order",
    "order_cancelled",
    "order_failed",
    "friend",
    "unfriend",
    "question",
    "game",
    "pool",
    "event",
    "command",
]

MAX_BODY_BYTES: Final = 1 << 20
MAX_WORD: Final = 2**64
"""Times and counts of a stream's ids are less."""

_Word = Annotated[int, Meta(ge=0)]


class Place(NamedTuple):
    """Where an entry stands in the journal; places compare in the order of the stream."""

    epoch: int
    ms: int
    sequence: int

    @property
    def journal_id(self) -> str:
        """The id of the entry in the stream."""
        return f"{self.ms}-{self.sequence}"

    @property
    def following(self) -> Place:
        """The first place after this one."""
        return self._replace(sequence=self.sequence + 1)

    def __str__(self) -> str:
        return f"{self.epoch}-{self.ms}-{self.sequence}"


BEGINNING: Final = Place(0, 0, 0)


def place_of(text: str) -> Place | None:
    """The place written as "epoch-ms-sequence", None when the text is not one."""
    words = text.split("-")
    if len(words) != 3 or not all(word.isdecimal() and len(word) <= 20 for word in words):
        return None
    epoch, ms, sequence = map(int, words)
    return Place(epoch, ms, sequence) if max(epoch, ms, sequence) < MAX_WORD else None


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry; which fields it has depends on its kind (see `REQUIRED`).

    `amount` is the signed change of the user's account and `balance` what was left after it (minor units);
    `body` is JSON.
    """

    epoch: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    journal_id: Annotated[str, Meta(pattern=r"^[0-9]{1,19}-[0-9]{1,19}\Z")]
    kind: Kind
    user: Name | None = None
    key: Name | None = None
    game: Name | None = None
    pool: Name | None = None
    option: OptionIndex | None = None
    stake: Stake | None = None
    amount: Annotated[int, Meta(gt=-MAX_MONEY, lt=MAX_MONEY)] | None = None
    balance: Annotated[int, Meta(gt=-MAX_MONEY, lt=MAX_MONEY)] | None = None
    body: str | None = None

    @property
    def place(self) -> Place:
        """Where the entry stands."""
        ms, _, sequence = self.journal_id.partition("-")
        return Place(self.epoch, int(ms), int(sequence))


class Command(Struct, frozen=True, array_like=True):
    """A request as it was answered; `user` is empty before a token was shown, `code` 0 or the error's number.

    `at_ms` is when it came by the API's clock (ms since 1970), `took_ms` how long its answer took.
    """

    user: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_-]*\Z")]
    type: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z_]+\Z")]
    code: Annotated[int, Meta(ge=0, le=65_535)]
    at_ms: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    took_ms: Annotated[int, Meta(ge=0, lt=2**31)]


_MONEY: Final = ("user", "amount", "balance")
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "prediction": (*_MONEY, "key", "game", "pool", "option", "stake"),
    "cancellation": (*_MONEY, "key", "pool"),
    "deposit": (*_MONEY, "key"),
    "winnings": (*_MONEY, "pool"),
    "refund": (*_MONEY, "pool"),
    "order": ("user", "key", "pool"),
    "order_cancelled": ("user", "key", "pool"),
    "order_failed": ("user", "key", "pool"),
    "friend": ("user",),
    "unfriend": ("user",),
    "question": ("user", "pool"),
    "command": ("body",),
}
"""The fields that an entry of a kind cannot be without."""

_decode_commands: Final = msgspec.json.Decoder(
    Annotated[list[Command], Meta(min_length=1, max_length=10_000)]
).decode
_Fields = dict[bytes, bytes]


def read_entry(entry_id: bytes, fields: _Fields | None) -> Entry | None:
    """The entry that the stream has under an id, None when it cannot be read."""
    try:
        values = {name.decode("ascii"): value.decode() for name, value in (fields or {}).items()}
        entry = msgspec.convert({**values, "journal_id": entry_id.decode()}, Entry, strict=False)
        if any(getattr(entry, name) is None for name in REQUIRED.get(entry.kind, ())):
            return None
        if entry.body is not None:
            if len(entry.body) > MAX_BODY_BYTES:
                return None
            if entry.kind == "command":
                _decode_commands(entry.body)
            else:
                msgspec.json.decode(entry.body)
    except (UnicodeDecodeError, msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return None
    return entry


def commands_of(entry: Entry) -> list[Command]:
    """The commands in the body of an entry of the kind `command`."""
    commands: list[Command] = _decode_commands(entry.body or "[]")
    return commands


def flat_fields(flat: list[Any]) -> _Fields:
    """The fields of an entry as a script answers them: names and values by turns."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
