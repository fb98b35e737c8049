"""The names of what the service keeps in Redis.

Names of games, pools, users and keys never hold a colon or a space (`protocol.Name`), so that these names
cannot run into one another.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "market:"
EPOCH: Final = "market:epoch"
GAMES: Final = "market:games"
"""Hash: game -> `protocol.Game` as JSON."""
JOURNAL: Final = "market:journal"
"""Stream: one entry per prediction, in the order in which they were accepted."""
REJECTED: Final = "market:journal:rejected"
"""Stream: journal entries that are not predictions; somebody has to look at them."""
DUE: Final = "market:due"
"""Sorted set: pool -> when its next distribution is due (ms since 1970)."""
ACCOUNT: Final = "market:account:"
POOL: Final = "market:pool:"
RECEIPT: Final = "market:receipt:"
LEDGER_GROUP: Final = "ledger"
"""The consumer group of the journal that drains it to SQL."""


def account(user: str) -> str:
    """Hash: `opening` and `balance` in minor units."""
    return ACCOUNT + user


def pool(name: str) -> str:
    """Hash: what a pool is, its totals, and the state of its distributions."""
    return POOL + name


def pools(game: str) -> str:
    """Sorted set: a game's pools in the order in which they are shown."""
    return f"market:game:{game}:pools"


def receipt(user: str, key: str) -> str:
    """String: the receipt of the prediction that a user placed with an idempotency key."""
    return f"{RECEIPT}{user}:{key}"


def channel(game: str) -> str:
    """Channel: the distributions of a game's pools, as the JSON that clients get."""
    return f"market:live:{game}"
