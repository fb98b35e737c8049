"""The scripts that run atomically inside Redis, and how they are called."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from msgspec import Struct

from market import keys
from market.protocol import ErrorCode, PlacePrediction

RECEIPT_LIFETIME_MS: Final = 6 * 3600 * 1000
"""How long an idempotency key is remembered: longer than a match with everything around it."""

Command = tuple[str | int | bytes, ...]


class Script(Struct, frozen=True):
    """A Lua script and the digest by which Redis knows it."""

    text: str
    sha: str


def _script(name: str, flags: str = "") -> Script:
    codes = " ".join(f"local {code.name} = {code.value}" for code in ErrorCode)
    body = resources.files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    text = f"#!lua{flags}\n{codes}\n{body}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


PLACE: Final = _script("place")
FLUSH: Final = _script("flush")
POOLS: Final = _script("pools", " flags=no-writes")


def place(user: str, request: PlacePrediction, flush_interval_ms: int) -> Command:
    """The command that places a prediction (on the master)."""
    return (
        "EVALSHA",
        PLACE.sha,
        6,
        keys.account(user),
        keys.pool(request.pool),
        keys.receipt(user, request.key),
        keys.JOURNAL,
        keys.DUE,
        keys.GAMES,
        user,
        request.game,
        request.pool,
        request.option,
        request.stake,
        request.key,
        flush_interval_ms,
        RECEIPT_LIFETIME_MS,
    )


def flush(pool: str, flush_interval_ms: int) -> Command:
    """The command that publishes a pool's distribution when it is due, or, for "", all overdue ones."""
    return ("EVALSHA", FLUSH.sha, 1, keys.DUE, keys.POOL, keys.channel(""), flush_interval_ms, pool)


def pools(game: str) -> Command:
    """The command that lists a game's pools (on the nearest Redis)."""
    return ("EVALSHA_RO", POOLS.sha, 2, keys.GAMES, keys.pools(game), game, keys.POOL)
