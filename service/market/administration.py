"""The questions to Redis that open, close and decide pools, and begin and end games."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from market.protocol import (
    ClosePool,
    CreateGame,
    ErrorCode,
    Name,
    OpenPool,
    OptionIndex,
    SetGameStatus,
)
from market.scripts import CHANGING_POOLS, WRITING, evaluate, script
from market.settlement import Terms, Totals
from market.store import Call, Failure, failure, failure_of

CREATE_GAME: Final = script("create_game", *WRITING, "game")
SET_GAME_STATUS: Final = script("set_game_status", *CHANGING_POOLS, "game")
OPEN_POOL: Final = script("open_pool", *CHANGING_POOLS, "turn")
CLOSE_POOL: Final = script("close_pool", *CHANGING_POOLS)
RESOLVE: Final = script("resolve", *CHANGING_POOLS, "turn")

CLOSE_CHUNK: Final = 32
"""Pools that the end of a game closes with one call: about a millisecond."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Outcome(StrEnum):
    """What became of a change that was not refused."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """It had been done before."""
    MORE = "more"
    """A part was done: ask again."""
    OUT_OF_TURN = "out_of_turn"
    """The event that asked for it is not the next of its game any more."""


class Lapse(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a pool that nothing decided before an event of a kind: `option` wins, or it is void."""

    event: Name
    option: OptionIndex | None = None


class Opening(Struct, frozen=True):
    """Why the resolver opens a pool: the event, its sequence, and what the pool lapses with."""

    event: str
    sequence: int
    lapses: Lapse | None = None


def create_game(by: str, request: CreateGame) -> Call[Outcome]:
    """Announce a game; EXISTS, or CONFLICT when there are too many."""
    command = evaluate(CREATE_GAME, by, request.game, request.title, request.status)
    return Call(command, read_outcome, CREATE_GAME)


def set_game_status(by: str, request: SetGameStatus) -> Call[Outcome]:
    """Begin or end a game; CONFLICT when it would go back. Ask again while the outcome is MORE."""
    command = evaluate(SET_GAME_STATUS, by, request.game, request.status, CLOSE_CHUNK)
    return Call(command, read_outcome, SET_GAME_STATUS)


def open_pool(by: str, request: OpenPool, opening: Opening | None = None) -> Call[Outcome]:
    """Open a pool; EXISTS, or CONFLICT when the game is over or its closing time is past."""
    lapses = opening.lapses if opening else None
    command = evaluate(
        OPEN_POOL,
        by,
        request.game,
        request.pool,
        request.question,
        _encode(request.options),
        len(request.options),
        request.takeout,
        request.grace_ms,
        "" if request.closes_at_ms is None else request.closes_at_ms,
        "" if request.decided_by is None else _encode(request.decided_by),
        "" if lapses is None else _encode(lapses),
        opening.event if opening else "",
        opening.sequence if opening else "",
    )
    return Call(command, read_outcome, OPEN_POOL)


def close_pool(by: str, request: ClosePool) -> Call[Outcome]:
    """Take no more predictions of a pool."""
    return Call(evaluate(CLOSE_POOL, by, request.game, request.pool), read_outcome, CLOSE_POOL)


def resolve(
    by: str,
    game: str,
    pool: str,
    winners: Sequence[int],
    *,
    event: str = "",
    known: tuple[Totals, Terms] | None = None,
) -> Call[Outcome | Totals]:
    """Close a pool and fix its outcome, none for a void one; CONFLICT when it has another.

    Answers the totals when they are not `known`: compute the terms and ask again.
    """
    options = sorted(set(winners))
    settled: tuple[str | int, ...] = ("", "", "", "", "")
    if known is not None:
        totals, terms = known
        settled = (totals.total, totals.winning, terms.pays, terms.net, terms.taken)
    command = evaluate(RESOLVE, by, game, pool, _encode(options), len(options), *options, event, *settled)
    return Call(command, read_resolve, RESOLVE)


def read_outcome(reply: Any) -> Outcome | Failure:
    """The outcome, or the refusal, in the answer of a script of this module."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if isinstance(reply[0], int):
        return failure(ErrorCode(reply[0]))
    return Outcome(reply[0].decode())


def read_resolve(reply: Any) -> Outcome | Totals | Failure:
    """The outcome, the totals, or the refusal, in the answer of the script `resolve`."""
    if not isinstance(reply, Exception) and reply[0] == b"totals":
        total, winning, takeout = (int(value) for value in reply[1:])
        return Totals(total, winning, takeout)
    return read_outcome(reply)
