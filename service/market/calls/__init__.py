"""The questions to Redis behind what users of a game ask most."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from market import keys, scripts
from market.calls.answers import receipt
from market.history import UNREADABLE, Recent, read_recent
from market.protocol import ErrorCode, Game, PlacePrediction, Pool
from market.store import Call, Failure, Receipt, failure, failure_of

_log = logging.getLogger(__name__)

PRESENCE_LIFETIME_MS: Final = 30_000
"""How long a process's note of its connections holds: six times as long as the pause between two."""

_decode_game: Final = msgspec.json.Decoder(Game).decode
_decode_options: Final = msgspec.json.Decoder(list[str]).decode
_decode_winners: Final = msgspec.json.Decoder(list[int]).decode

read_place: Final = receipt()
"""The receipt, or the refusal, in the answer of the script `place`."""


def games() -> Call[list[Game]]:
    """The games."""
    return Call(("HVALS", keys.GAMES), read_games)


def game_exists(game: str) -> Call[bool]:
    """Whether there is such a game."""
    return Call(("HEXISTS", keys.GAMES, game), read_game_exists)


def pools(game: str, user: str = "") -> Call[list[Pool]]:
    """The pools of a game that a user, "" for anybody, may see, with their totals; NO_SUCH_GAME."""
    return Call(scripts.pools(game, user), read_pools, scripts.POOLS)


def recent(game: str) -> Call[Recent]:
    """Where a game's channel stands, and its newest pushes."""
    return Call(scripts.evaluate_readonly(scripts.RECENT, game), _read_recent, scripts.RECENT)


def presence(game: str) -> Call[int]:
    """How many connections have joined a game; NO_SUCH_GAME."""
    command = scripts.evaluate_readonly(scripts.PRESENCE, game, PRESENCE_LIFETIME_MS)
    return Call(command, _read_presence, scripts.PRESENCE)


def report_presence(process: str, listening: Mapping[str, int]) -> Call[int]:
    """Note how many connections of an API process have joined each game."""
    counts = [word for game, count in listening.items() for word in (game, count)]
    command = scripts.evaluate(scripts.REPORT_PRESENCE, process, PRESENCE_LIFETIME_MS, *counts)
    return Call(command, read_number, scripts.REPORT_PRESENCE)


def place(user: str, request: PlacePrediction, flush_interval_ms: int) -> Call[Receipt]:
    """Place a prediction; each of the errors of `PlacePrediction`."""
    return Call(scripts.place(user, request, flush_interval_ms), read_place, scripts.PLACE)


def flush(pool: str, flush_interval_ms: int) -> Call[int]:
    """Do what is due in a pool ("": in all that are overdue); ms until there is more to do, 0 for nothing."""
    return Call(scripts.flush(pool, flush_interval_ms), read_number, scripts.FLUSH)


def _read_recent(reply: Any) -> Recent | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    try:
        return read_recent(reply)
    except UNREADABLE as error:
        _log.error("what is kept of a game's channel cannot be read: %s", error)
        return failure(ErrorCode.INTERNAL)


def _read_presence(reply: Any) -> int | Failure:
    if isinstance(reply, Exception):
        return failure_of(reply)
    return failure(ErrorCode.NO_SUCH_GAME) if reply is None else int(reply)


def read_games(reply: Any) -> list[Game] | Failure:
    """The games in the answer to HVALS."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return sorted((_decode_game(item) for item in reply), key=lambda game: game.id)


def read_game_exists(reply: Any) -> bool | Failure:
    """Whether there is a game, in the answer to HEXISTS."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return bool(reply)


def read_pools(reply: Any) -> list[Pool] | Failure:
    """The pools in the answer of the script `pools`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if reply is None:
        return failure(ErrorCode.NO_SUCH_GAME)
    return [_pool(row) for row in reply]


def _pool(row: list[bytes | None]) -> Pool:
    name, question, status, options, predictions, epoch, offset, winners, asker, audience, closes_ms = (
        (value or b"").decode() for value in row[:11]
    )
    sent = int(offset or 0)
    return Pool(
        id=name,
        question=question,
        status=status,
        options=_decode_options(options),
        totals=[int(total or 0) for total in row[11:]],
        predictions=int(predictions),
        epoch=int(epoch) if sent else 0,
        offset=sent,
        winners=_decode_winners(winners) if winners else [],
        asker=asker or None,
        audience="friends" if audience == "friends" else "everyone",
        closes_at_ms=int(closes_ms) if closes_ms else None,
    )


def read_number(reply: Any) -> int | Failure:
    """The number that a script answers."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return int(reply)
