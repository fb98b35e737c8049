"""The names of what the service keeps in Redis.

Names of games, pools, users and keys never hold a colon or a space (`protocol.Name`), so that these names
cannot run into one another. Every script knows the texts below, whole names and beginnings of names, by their
names here after `KEY_`.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "market:"
EPOCH: Final = "market:epoch"
"""String: the present epoch; it rises whenever writes may have been lost."""
REPLID: Final = "market:replid"
"""String: the replication id of the server that the epoch belongs to; see `epoch_guard`."""
GAMES: Final = "market:games"
"""Hash: game -> `protocol.Game` as JSON."""
JOURNAL: Final = "market:journal"
"""Stream: everything that happened, in the order in which it was accepted (see `market.journal`)."""
JOURNAL_LIMIT: Final = "market:journal:limit"
"""String: how many entries the journal may hold before writes are refused."""
JOURNAL_TRIMMED: Final = "market:journal:trimmed"
"""String: "id epoch"; entries before that place may be gone from the journal, the SQL master has them."""
POSITIONS: Final = "market:journal:positions"
"""Hash: SQL server -> "place seen_ms": how far it has the journal, and when that was seen."""
AUDITORS: Final = "market:journal:auditors"
"""Hash: API process -> "number seen_ms" of its last batch of commands."""
REJECTED: Final = "market:journal:rejected"
"""Stream: journal entries that cannot be read; somebody has to look at them."""
DUE: Final = "market:due"
"""Sorted set: pool -> when its next distribution is due (ms since 1970)."""
CLOSING: Final = "market:closing"
"""Sorted set: open pool -> when it closes by itself (ms since 1970)."""
MONEY: Final = "market:money"
"""String: all the money that came from outside (minor units), so that it stays countable."""
EVENTS: Final = "market:events"
"""Stream: what happened in the matches, each event once; it wakes a resolver."""
SETTLING: Final = "market:settling"
"""Set: pools whose outcome is fixed and that are not paid out."""
WAITING: Final = "market:waiting"
"""Sorted set: game with events that are not applied -> when to look at it (ms since 1970)."""
ACCOUNT: Final = "market:account:"
POOL: Final = "market:pool:"
BOOK: Final = "market:book:"
RECEIPT: Final = "market:receipt:"
TAIL: Final = "market:tail:"
FRIENDS: Final = "market:friends:"
ORDERS: Final = "market:orders:"
ORDERS_OF: Final = "market:orders-of:"
QUESTIONS: Final = "market:questions:"
PRESENCE: Final = "market:presence:"
POSITION: Final = "market:position:"
HISTORY: Final = "market:history:"
LIVE: Final = "market:live:"
REVOKED: Final = "market:revoked"
"""Sorted set: user -> until when nobody is served in that name (s since 1970)."""
REVOCATIONS: Final = "market:control:revoked"
"""Channel: a user and until when, as they are in `REVOKED`, divided by a space."""
GAME: Final = "market:game:"
FEED: Final = "market:feed:"
SEEN: Final = "market:seen:"
APPLY: Final = "market:apply:"
UNDECIDED: Final = "market:undecided:"
HELD: Final = "market:held:"
LEDGER_GROUP: Final = "ledger"
"""The consumer group of the journal that drains it to SQL."""
RESOLVER_GROUP: Final = "resolver"
"""The consumer group of the events that decides pools."""


def account(user: str) -> str:
    """Hash: `balance` in minor units, and `opening`: all that came from outside."""
    return ACCOUNT + user


def pool(name: str) -> str:
    """Hash: what a pool is, its totals, the state of its distributions and of its settlement."""
    return POOL + name


def book(pool: str) -> str:
    """List: a pool's predictions as "user key option stake placed_ms", empty once cancelled."""
    return BOOK + pool


def pools(game: str) -> str:
    """Sorted set: a game's pools in the order in which they are shown."""
    return f"{GAME}{game}:pools"


def asked(game: str) -> str:
    """String: how many questions users have asked in a game."""
    return f"{GAME}{game}:questions"


def receipt(user: str, key: str) -> str:
    """String: the receipt of the write that a user made with an idempotency key."""
    return f"{RECEIPT}{user}:{key}"


def tail(user: str) -> str:
    """List: the ids of a user's newest journal entries, at least of those that SQL may not have."""
    return TAIL + user


def friends(user: str) -> str:
    """Set: whom a user has named friends."""
    return FRIENDS + user


def orders(pool: str) -> str:
    """Hash: "user key" -> `protocol.Order` as JSON; the marks are in sorted sets (`scripts/orders.lua`)."""
    return ORDERS + pool


def orders_of(user: str) -> str:
    """Set: a user's standing orders as "pool key"."""
    return ORDERS_OF + user


def questions(user: str) -> str:
    """Set: the pools of the questions that a user asked, until they are closed and their game is over."""
    return QUESTIONS + user


def presence(game: str) -> str:
    """Hash: API process -> "connections seen_ms"."""
    return PRESENCE + game


def position(game: str) -> str:
    """Hash: `epoch` and `offset` of the last push on the game's channel."""
    return POSITION + game


def history(game: str) -> str:
    """List: the newest pushes of the game's channel, the newest last."""
    return HISTORY + game


def feed(game: str) -> str:
    """Hash: `received` and `applied`, the highest sequences of a game's events."""
    return FEED + game


def seen(game: str) -> str:
    """Hash: id of an event -> "arrived_ms at_ms JSON", the event without its time: each counts once."""
    return SEEN + game


def apply(game: str) -> str:
    """Sorted set: ids of a game's events that are not applied, by their sequence."""
    return APPLY + game


def undecided(game: str, kind: str) -> str:
    """Set: the pools of a game that an event of a kind may decide."""
    return f"{UNDECIDED}{game}:{kind}"


def held(game: str, event: str) -> str:
    """Set: the pools that an event holds until it is applied; `held` of a pool counts such events."""
    return f"{HELD}{game}:{event}"


def channel(game: str) -> str:
    """Channel: a game's pushes, as the JSON that clients get."""
    return LIVE + game
