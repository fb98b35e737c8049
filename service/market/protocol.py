"""The messages between a client and the market, both directions.

Every message is one JSON text frame of a WebSocket whose subprotocol is `SUBPROTOCOL`. A request carries a
request id that its one reply repeats; a `Distribution` is sent unasked to everyone who joined the game.
Amounts of money are integers in minor units.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

SUBPROTOCOL: Final = "market.v1"
"""The name and version of this protocol in the upgrade request."""

MAX_MESSAGE_BYTES: Final = 4096
"""The largest message that a client may send; a larger one is answered with close code 1009."""

RequestId = Annotated[int, Meta(ge=0, lt=2**53)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
OptionIndex = Annotated[int, Meta(ge=0, lt=64)]
Stake = Annotated[int, Meta(gt=0, le=10**12)]
Token = Annotated[str, Meta(min_length=1, max_length=2048)]


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class ErrorCode(IntEnum):
    """The numbered errors; a number never changes its meaning."""

    MALFORMED = 4000
    """The message is not valid JSON, or a field is missing, unknown to its type or out of its bounds."""
    UNKNOWN_TYPE = 4001
    """The message's type is not one that a client may send."""
    UNAUTHENTICATED = 4010
    """The connection has not shown a valid token."""
    NOT_JOINED = 4030
    """The request needs the user to have joined the game first."""
    NO_SUCH_GAME = 4040
    NO_SUCH_POOL = 4041
    NO_SUCH_OPTION = 4042
    NO_SUCH_ACCOUNT = 4043
    POOL_CLOSED = 4090
    KEY_REUSED = 4091
    """The idempotency key was used before for a different prediction."""
    INSUFFICIENT_FUNDS = 4092
    TOO_MANY_REQUESTS = 4290
    """Too many requests of this connection wait for an answer."""
    INTERNAL = 5000
    """The server failed; the outcome of a write is unknown: repeat it with the same key."""
    UNAVAILABLE = 5030
    """The data could not be reached; the outcome of a write is unknown: repeat it with the same key."""


class CloseCode(IntEnum):
    """The numbered closes of this protocol, beside those of RFC 6455."""

    GOING_AWAY = 1001
    """The server drains: come back after a jittered delay."""
    UNSUPPORTED_DATA = 1003
    """A binary message: this protocol speaks text."""
    INVALID_TEXT = 1007
    MESSAGE_TOO_BIG = 1009
    UNAUTHENTICATED = 4401
    """No valid token was shown in time, or it was refused."""
    SLOW_CONSUMER = 4408
    """The client does not drain what it is sent."""
    TOO_MANY_ERRORS = 4429
    """The client keeps sending messages that are refused."""


class Request(Struct, frozen=True, tag_field="type", tag=_snake, forbid_unknown_fields=True):
    """What every request has: the id that its reply repeats."""

    id: RequestId


class Authenticate(Request, frozen=True):
    """Show a signed token, unless the upgrade request carried it (`Authorization: Bearer …`)."""

    token: Token


class ListGames(Request, frozen=True):
    """Ask for the games."""


class JoinGame(Request, frozen=True):
    """Subscribe to a game: from the reply on, every distribution of its pools is sent."""

    game: Name


class LeaveGame(Request, frozen=True):
    """Unsubscribe from a game."""

    game: Name


class ListPools(Request, frozen=True):
    """Ask for a game's pools with their totals."""

    game: Name


class PlacePrediction(Request, frozen=True):
    """Stake an amount on one option of a pool; the same key never takes the stake twice."""

    game: Name
    pool: Name
    option: OptionIndex
    stake: Stake
    key: Name


class Game(Struct, frozen=True):
    """A match that users predict."""

    id: str
    title: str
    status: str


class Pool(Struct, frozen=True):
    """A question with its options, the stake on each (minor units) and the number of predictions.

    `epoch` and `offset` are those of the last distribution that was sent of it, (0, 0) when none was.
    """

    id: str
    question: str
    status: str
    options: list[str]
    totals: list[int]
    predictions: int
    epoch: int
    offset: int


class Reply(Struct, frozen=True, tag_field="type", tag=_snake):
    """What every reply has: the id of its request."""

    id: RequestId


class Authenticated(Reply, frozen=True):
    """The token was accepted."""

    user: str
    expires_at_s: int


class Games(Reply, frozen=True):
    """The games."""

    games: list[Game]


class Joined(Reply, frozen=True):
    """The user is subscribed to the game."""

    game: str


class Left(Reply, frozen=True):
    """The user is no longer subscribed to the game."""

    game: str


class Pools(Reply, frozen=True):
    """A game's pools, as the nearest Redis has them."""

    game: str
    pools: list[Pool]


class Placed(Reply, frozen=True):
    """The prediction is in the journal: `journal_id` is its place there, unique within `epoch`.

    `duplicate` says that this key had been placed before, and that this is the first one's receipt.
    """

    pool: str
    key: str
    epoch: int
    journal_id: str
    balance: int
    duplicate: bool


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    """A request was refused or failed; `id` is null when the request's id could not be read."""

    id: int | None
    code: int
    message: str


class Distribution(Struct, frozen=True, tag_field="type", tag="distribution"):
    """The stakes on a pool's options, sent at most once per pool every 3 s.

    `offset` counts a pool's distributions from 1 without gaps within an `epoch`; `published_us` is the time
    of publication at the master (microseconds since 1970).
    """

    game: str
    pool: str
    epoch: int
    offset: int
    published_us: int
    totals: list[int]
    predictions: int


ClientMessage = Authenticate | ListGames | JoinGame | LeaveGame | ListPools | PlacePrediction
ServerMessage = Authenticated | Games | Joined | Left | Pools | Placed | Error | Distribution


encode: Final = msgspec.json.Encoder().encode
"""A message as the bytes of its frame."""

decode_client: Final = msgspec.json.Decoder(ClientMessage).decode
"""A client's frame as its message; raises `msgspec.DecodeError` or `msgspec.ValidationError`."""

decode_server: Final = msgspec.json.Decoder(ServerMessage).decode
"""A server's frame as its message; raises `msgspec.DecodeError` or `msgspec.ValidationError`."""
