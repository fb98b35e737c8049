"""What the requests need of the data, and what its answers mean.

There are two stores behind this interface: `LiveStore`, which never waits, and `BlockingStore`, which holds
up the process for every call. Both run the same scripts and read their answers with the functions here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from market.protocol import ErrorCode, Game, PlacePrediction, Pool
from market.settings import MarketError

_log = logging.getLogger(__name__)

T = TypeVar("T")


class UnavailableError(MarketError):
    """A server of the data could not be reached or did not answer; what was asked may have been done."""


class ReplyError(MarketError):
    """Redis answered a command with an error."""


class Failure(Struct, frozen=True):
    """Why a request was not answered as asked; what its client is told."""

    code: ErrorCode
    message: str


class Receipt(Struct, frozen=True):
    """A placed prediction; `due_in_ms` until the pool's distribution is due, -1 when none is."""

    epoch: int
    journal_id: str
    balance: int
    duplicate: bool
    due_in_ms: int


Done = Callable[[T | Failure], None]
"""Is called once with the result, from the event loop, or before the request returns."""


class Store(Protocol):
    """The data as the API sees it. Every request calls its `done` exactly once."""

    async def start(self) -> None:
        """Begin to connect; does not wait for it."""

    async def stop(self) -> None:
        """Let go of the connections; what is still asked fails as unavailable."""

    def problem(self) -> str | None:
        """Why requests cannot be served at present, None when they can."""

    def games(self, done: Done[list[Game]]) -> None:
        """The games."""

    def game_exists(self, game: str, done: Done[bool]) -> None:
        """Whether there is such a game."""

    def pools(self, game: str, done: Done[list[Pool]]) -> None:
        """A game's pools with their totals; NO_SUCH_GAME."""

    def place(self, user: str, request: PlacePrediction, done: Done[Receipt]) -> None:
        """Place a prediction; each of the errors of `PlacePrediction`."""

    def flush(self, pool: str, done: Done[int]) -> None:
        """Publish a pool's distribution if due ("": all overdue); ms until it is, 0 when nothing is left."""


MESSAGES: Final[dict[ErrorCode, str]] = {
    ErrorCode.NO_SUCH_GAME: "there is no such game; list_games names them",
    ErrorCode.NO_SUCH_POOL: "the game has no such pool; list_pools names them",
    ErrorCode.NO_SUCH_OPTION: "the pool has no such option; list_pools shows them",
    ErrorCode.NO_SUCH_ACCOUNT: "the user has no account",
    ErrorCode.POOL_CLOSED: "the pool takes no more predictions",
    ErrorCode.KEY_REUSED: "this key was used for a different prediction; take a new key for each",
    ErrorCode.INSUFFICIENT_FUNDS: "the stake is more than the balance",
    ErrorCode.UNAVAILABLE: "the data cannot be reached; repeat the request with the same key",
    ErrorCode.INTERNAL: "the server failed; repeat the request with the same key",
}

_TRANSIENT: Final = frozenset(
    ("LOADING", "READONLY", "MASTERDOWN", "OOM", "BUSY", "NOREPLICAS", "MISCONF", "TRYAGAIN", "UNBLOCKED")
)
_decode_game = msgspec.json.Decoder(Game).decode
_decode_options = msgspec.json.Decoder(list[str]).decode


def failure(code: ErrorCode) -> Failure:
    """The failure of a code, with the message that says what to do."""
    return Failure(code, MESSAGES[code])


def failure_of(error: Exception) -> Failure:
    """What a client is told about an error of a server of the data."""
    if isinstance(error, UnavailableError):
        return failure(ErrorCode.UNAVAILABLE)
    if str(error).partition(" ")[0] in _TRANSIENT:
        _log.warning("redis refuses for now: %s", error)
        return failure(ErrorCode.UNAVAILABLE)
    _log.error("the data answered with an error: %s", error)
    return failure(ErrorCode.INTERNAL)


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


def _pool(row: list[bytes]) -> Pool:
    name, question, status, options, predictions, epoch, offset = row[:7]
    sent = int(offset)
    return Pool(
        id=name.decode(),
        question=question.decode(),
        status=status.decode(),
        options=_decode_options(options),
        totals=[int(total) for total in row[7:]],
        predictions=int(predictions),
        epoch=int(epoch) if sent else 0,
        offset=sent,
    )


def read_place(reply: Any) -> Receipt | Failure:
    """The receipt, or the refusal, in the answer of the script `place`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if len(reply) == 1:
        return failure(ErrorCode(reply[0]))
    duplicate, epoch, journal_id, balance, due_in_ms = reply
    return Receipt(int(epoch), journal_id.decode(), int(balance), duplicate == 1, due_in_ms)


def read_flush(reply: Any) -> int | Failure:
    """The ms until the flush is due, in the answer of the script `flush`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return int(reply)
