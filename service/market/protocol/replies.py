"""What a request is answered with."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from market.protocol.naming import snake
from market.protocol.values import (
    EventOutcome,
    FriendPrediction,
    Game,
    Order,
    Pool,
    RequestId,
    Seen,
    Transaction,
)


class Reply(Struct, frozen=True, tag_field="type", tag=snake):
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
    """The user is subscribed to the game, and every push after (`epoch`, `offset`) follows.

    `state` is `new` when no position was given, `recovered` when the missed pushes follow in their order, and
    `lost` when they are gone: `pools` then is the snapshot that takes their place.
    """

    game: str
    epoch: int = 0
    offset: int = 0
    state: Literal["new", "recovered", "lost"] = "new"
    pools: list[Pool] | None = None


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


class Cancelled(Reply, frozen=True):
    """The prediction was taken back, and its stake is in the account again."""

    pool: str
    key: str
    epoch: int
    journal_id: str
    balance: int
    duplicate: bool


class Account(Reply, frozen=True):
    """The user's balance (minor units), as the master has it."""

    user: str
    balance: int


class Deposited(Reply, frozen=True):
    """The money is in the account."""

    key: str
    epoch: int
    journal_id: str
    balance: int
    duplicate: bool


class Transactions(Reply, frozen=True):
    """A page of the changes of the account, newest first; `cursor` asks for the next, null at the end."""

    transactions: list[Transaction]
    cursor: str | None


class FriendsPredictions(Reply, frozen=True):
    """A page of friends' predictions, newest first; `cursor` asks for the next, null at the end."""

    game: str
    pool: str
    predictions: list[FriendPrediction]
    cursor: str | None


class Friends(Reply, frozen=True):
    """Those whom the user has named friends, and those of them who did the same."""

    named: list[str]
    mutual: list[str]


class Asked(Reply, frozen=True):
    """The question is open as this pool."""

    game: str
    pool: str
    duplicate: bool


class Ordered(Reply, frozen=True):
    """The standing order is kept."""

    order: Order
    duplicate: bool


class OrderCancelled(Reply, frozen=True):
    """The standing order is withdrawn."""

    pool: str
    key: str


class Orders(Reply, frozen=True):
    """The user's standing orders in a game."""

    game: str
    orders: list[Order]


class Presence(Reply, frozen=True):
    """How many connections have joined the game, in all regions."""

    game: str
    connections: int


class View(Reply, frozen=True):
    """What a process has of a game's pushes: its position, and the newest ones.

    `process` names the API process, unique among all nodes.
    """

    game: str
    process: str
    region: str
    epoch: int
    offset: int
    pushes: list[Seen]


class Accepted(Reply, frozen=True):
    """What was asked for is done; `duplicate` when it had been done before."""

    duplicate: bool = False


class EventsTaken(Reply, frozen=True):
    """What became of each event, in the order in which they were told."""

    outcomes: list[EventOutcome]


class Error(Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True):
    """A request was refused or failed; `id` is null when the request's id could not be read.

    `retry_after_ms` is given when waiting helps.
    """

    id: int | None
    code: int
    message: str
    retry_after_ms: int | None = None
