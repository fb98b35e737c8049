"""What the requests need of the data, and what its answers mean.

There are two stores behind this interface: `LiveStore`, which never waits, and `BlockingStore`, which holds
up the process for every call. Both run the same scripts and read their answers with the functions here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from market.protocol import ErrorCode, PlacePrediction
from market.scripts import Command, Script
from market.settings import MarketError

_log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class UnavailableError(MarketError):
    """A server of the data could not be reached or did not answer; what was asked may have been done."""


class ReplyError(MarketError):
    """Redis answered a command with an error."""


class Failure(Struct, frozen=True):
    """Why a request was not answered as asked; what its client is told."""

    code: ErrorCode
    message: str
    retry_after_ms: int | None = None


class Call(Struct, Generic[T_co], frozen=True):
    """One question to Redis: the command, how its answer is read, and the script that it evaluates, if any.

    `read` gets the reply, `ReplyError` or `UnavailableError`, and never raises.
    """

    command: Command
    read: Callable[[Any], T_co | Failure]
    script: Script | None = None


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

    def nearest(self, call: Call[T], done: Done[T]) -> None:
        """Ask the nearest Redis, which may be a little behind the master."""

    def master(self, call: Call[T], done: Done[T]) -> None:
        """Ask the master: whatever writes, and what must be up to date."""

    def place(self, user: str, request: PlacePrediction, done: Done[Receipt]) -> None:
        """Place a prediction; each of the errors of `PlacePrediction`."""


MESSAGES: Final[dict[ErrorCode, str]] = {
    ErrorCode.NO_SUCH_GAME: "there is no such game; list_games names them",
    ErrorCode.NO_SUCH_POOL: "the game has no such pool; list_pools names them",
    ErrorCode.NO_SUCH_OPTION: "the pool has no such option; list_pools shows them",
    ErrorCode.NO_SUCH_ACCOUNT: "the user has no account; a deposit opens one",
    ErrorCode.NO_SUCH_PREDICTION: "the user placed no prediction with this key in this pool",
    ErrorCode.NO_SUCH_ORDER: "the user has no standing order with this key; list_orders shows them",
    ErrorCode.NOT_ALLOWED: "the user may not do this",
    ErrorCode.TOO_LATE: "the grace time of the prediction is over, or it has set off standing orders",
    ErrorCode.EXISTS: "this name is taken by another one; choose another",
    ErrorCode.CONFLICT: "this cannot be done in its present state",
    ErrorCode.JOURNAL_FULL: "the journal is full for now and nothing was done; repeat the request later",
    ErrorCode.POOL_CLOSED: "the pool takes no predictions (any more, or until an event is looked at)",
    ErrorCode.KEY_REUSED: "this key was used before, for something else or what has ended; take a new key",
    ErrorCode.INSUFFICIENT_FUNDS: "the stake is more than the balance",
    ErrorCode.UNAVAILABLE: "the data cannot be reached; repeat the request with the same key",
    ErrorCode.INTERNAL: "the server failed; repeat the request with the same key",
}

RETRY_AFTER_MS: Final[dict[ErrorCode, int]] = {
    ErrorCode.JOURNAL_FULL: 2000,
}
"""How long to wait before the request is repeated, where that helps."""

_TRANSIENT: Final = frozenset(
    ("LOADING", "READONLY", "MASTERDOWN", "OOM", "BUSY", "NOREPLICAS", "MISCONF", "TRYAGAIN", "UNBLOCKED")
)


def failure(code: ErrorCode) -> Failure:
    """The failure of a code, with the message that says what to do."""
    return Failure(code, MESSAGES[code], RETRY_AFTER_MS.get(code))


def failure_of(error: Exception) -> Failure:
    """What a client is told about an error of a server of the data."""
    if isinstance(error, UnavailableError):
        return failure(ErrorCode.UNAVAILABLE)
    if str(error).partition(" ")[0] in _TRANSIENT:
        _log.warning("redis refuses for now: %s", error)
        return failure(ErrorCode.UNAVAILABLE)
    _log.error("the data answered with an error: %s", error)
    return failure(ErrorCode.INTERNAL)
