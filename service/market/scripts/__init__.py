"""The scripts that run atomically inside Redis, and how they are called.

A script is the parts that it needs, then its own text. Every script knows the names of keys and the numbers
of errors as constants, so that both are written down once.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from msgspec import Struct

from market import keys, limits
from market.protocol import ErrorCode, PlacePrediction

RECEIPT_LIFETIME_MS: Final = 6 * 3600 * 1000
"""How long an idempotency key is remembered: longer than a match with everything around it."""

HISTORY_LENGTH: Final = 256
"""Pushes of a game that are kept for who comes back: with one pool, those of 13 minutes."""

JOURNAL_LIMIT_DEFAULT: Final = 1_000_000
"""Entries of the journal at which writes are refused, unless Redis is told otherwise (some 250 MB)."""

JOURNAL_ENTRY_BYTES: Final = 256
"""What an entry of the journal may take in memory; commands, many to an entry, wait where it is more."""

Command = tuple[str | int | bytes, ...]


class Script(Struct, frozen=True):
    """A Lua script, its file's name and the digest by which Redis knows it."""

    name: str
    text: str
    sha: str


def _constants() -> str:
    names = {name: value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str)}
    lines = [f"local KEY_{name} = '{value}'" for name, value in names.items()]
    lines += [f"local {code.name} = {code.value}" for code in ErrorCode]
    lines += [f"local {name} = {value}" for name, value in vars(limits).items() if name.isupper()]
    lines += [
        f"local RECEIPT_LIFETIME_MS = {RECEIPT_LIFETIME_MS}",
        f"local HISTORY_LENGTH = {HISTORY_LENGTH}",
        f"local JOURNAL_LIMIT_DEFAULT = {JOURNAL_LIMIT_DEFAULT}",
        f"local JOURNAL_ENTRY_BYTES = {JOURNAL_ENTRY_BYTES}",
    ]
    return "\n".join(lines)


def script(name: str, *parts: str, flags: str = "") -> Script:
    """The script in `name`.lua, after the parts that it needs; `flags` as Redis knows them."""
    folder = resources.files(__name__)
    texts = [folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in (*parts, name)]
    text = "\n".join([f"#!lua{f' flags={flags}' if flags else ''}", _constants(), *texts])
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


WRITING: Final = ("time", "journal", "channel")
"""The parts of a script that changes the market."""

CHANGING_POOLS: Final = (*WRITING, "orders", "pool")
"""The parts of a script that opens, closes or settles pools."""

PREDICTING: Final = ("friends", "prediction", "due")
"""The parts, beside those, of a script that places predictions."""

PLACE: Final = script("place", "time", "journal", *PREDICTING)
FLUSH: Final = script("flush", *WRITING, *PREDICTING, "orders", "fire")
POOLS: Final = script("pools", "friends", flags="no-writes")
RECENT: Final = script("recent", flags="no-writes")
PRESENCE: Final = script("presence", "time", flags="no-writes")
REPORT_PRESENCE: Final = script("report_presence", "time")
AUDIT: Final = script("audit", "time", "journal")
REPORT: Final = script("report", "time", "backlog", flags="allow-oom")
TRIM: Final = script("trim", flags="allow-oom")
STANDING: Final = script("standing", "time", "backlog", flags="no-writes")
POSITION: Final = script("position", "time", "backlog", flags="no-writes")
TAIL: Final = script("tail", "time", "backlog", flags="no-writes")
MUTUAL: Final = script("mutual", flags="no-writes")
EPOCH: Final = script("epoch", flags="allow-oom")


def evaluate(called: Script, *arguments: str | int | bytes) -> Command:
    """The command that runs a script on the master."""
    return ("EVALSHA", called.sha, 0, *arguments)


def evaluate_readonly(called: Script, *arguments: str | int | bytes) -> Command:
    """The command that runs a script that only reads, on any Redis."""
    return ("EVALSHA_RO", called.sha, 0, *arguments)


def place(user: str, request: PlacePrediction, flush_interval_ms: int) -> Command:
    """The command that places a prediction (on the master)."""
    return evaluate(
        PLACE,
        user,
        request.game,
        request.pool,
        request.option,
        request.stake,
        request.key,
        flush_interval_ms,
    )


def flush(pool: str, flush_interval_ms: int) -> Command:
    """The command that does what is due in a pool, or, for "", in all (on the master): see `flush.lua`."""
    return evaluate(FLUSH, flush_interval_ms, pool)


def pools(game: str, user: str = "") -> Command:
    """The command that lists the pools that a user, "" for anybody, may see (on the nearest Redis)."""
    return evaluate_readonly(POOLS, game, user)


def guard_epoch() -> Command:
    """The command that begins a new epoch on a server that may have lost writes (on the master)."""
    return ("EVAL", EPOCH.text, 0)
