"""Games, their pools, and predictions in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from market import calls
from market.calls import accounts
from market.handlers.kinds import Handler, replying
from market.protocol import (
    Cancelled,
    CancelPrediction,
    Games,
    ListGames,
    ListPools,
    Placed,
    PlacePrediction,
    Pool,
    Pools,
    Reply,
    Request,
)
from market.store import Done, Failure, Receipt
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def list_games(api: Api, _: Identity, request: ListGames, done: Done[Reply]) -> None:
    """The games, as the nearest Redis has them."""
    api.store.nearest(calls.games(), replying(done, lambda games: Games(request.id, games)))


def list_pools(api: Api, identity: Identity, request: ListPools, done: Done[Reply]) -> None:
    """A game's pools that the user may see, as the nearest Redis has them."""

    def listed(pools: list[Pool]) -> Pools:
        return Pools(request.id, request.game, pools)

    api.store.nearest(calls.pools(request.game, identity.user), replying(done, listed))


def place_prediction(api: Api, identity: Identity, request: PlacePrediction, done: Done[Reply]) -> None:
    """Place a prediction, and have the pool's distribution sent when it is due."""

    def placed(receipt: Receipt) -> Placed:
        return Placed(
            request.id,
            request.pool,
            request.key,
            receipt.epoch,
            receipt.journal_id,
            receipt.balance,
            receipt.duplicate,
        )

    api.store.place(identity.user, request, _flushed(api, request.pool, replying(done, placed)))


def cancel_prediction(api: Api, identity: Identity, request: CancelPrediction, done: Done[Reply]) -> None:
    """Take a prediction back, and have the pool's distribution sent when it is due."""

    def cancelled(receipt: Receipt) -> Cancelled:
        return Cancelled(
            request.id,
            request.pool,
            request.key,
            receipt.epoch,
            receipt.journal_id,
            receipt.balance,
            receipt.duplicate,
        )

    call = accounts.cancel(identity.user, request, api.settings.flush_interval_ms)
    api.store.master(call, _flushed(api, request.pool, replying(done, cancelled)))


def _flushed(api: Api, pool: str, done: Done[Receipt]) -> Done[Receipt]:
    """A callback that hands on a receipt, and sets the timer of the flush that it speaks of."""
    asked_s = time.monotonic()

    def answered(result: Receipt | Failure) -> None:
        if isinstance(result, Receipt) and result.due_in_ms >= 0:
            api.flusher.due(pool, result.due_in_ms, time.monotonic() - asked_s)
        done(result)

    return answered


HANDLERS: Final[dict[type[Request], Handler]] = {
    ListGames: list_games,
    ListPools: list_pools,
    PlacePrediction: place_prediction,
    CancelPrediction: cancel_prediction,
}
