"""How much of each thing there may be; every script knows these numbers by the same names."""

from __future__ import annotations

from typing import Final

MAX_MONEY: Final = 2**53
"""All the money of a market stays below this, so that no sum of it is ever rounded."""
GRACE_MS_DEFAULT: Final = 5000
"""For how long after it was placed a prediction may be cancelled, unless its pool says otherwise."""
MAX_TAKEOUT: Final = 500
"""What the house keeps of the stakes of a pool at most (permille)."""
MAX_FRIENDS: Final = 1000
"""Whom one user may have named friends."""
MAX_POOLS_PER_GAME: Final = 500
"""Pools that a game may have: all of them are listed at once."""
MAX_OPEN_QUESTIONS: Final = 5
"""Questions of one user that may be open at a time."""
MAX_QUESTIONS_PER_GAME: Final = 20
"""Questions that one user may ask in a game, the closed ones included: nobody fills a game's list alone."""
MAX_QUESTIONS_OF_ALL: Final = 250
"""Questions that all users may ask in a game: the other pools are for those that come with the match."""
MAX_ORDERS_PER_USER: Final = 20
"""Standing orders of one user, in all pools together."""
MAX_ORDERS_PER_POOL: Final = 1000
"""Standing orders of all users in one pool."""
ORDERS_BATCH: Final = 64
"""Standing orders that are carried out or ended in one script, so that nothing else waits for long."""
MAX_GAMES: Final = 1000
"""Games that there may be: all of them are listed at once."""
MAX_EVENTS: Final = 20_000
"""Events that a game may have; a match that is followed in every detail has some 2,000."""
EVENT_LIFETIME_MS: Final = 7 * 24 * 3600 * 1000
"""How long after its last event those of a game are remembered."""
