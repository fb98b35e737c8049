"""Games, their pools, and predictions in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from market import calls
from market.handlers.kinds import Handler, replying
from market.protocol import Games, ListGames, ListPools, Placed, PlacePrediction, Pool, Pools, Reply, Request
from market.store import Done, Failure, Receipt
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def list_games(api: Api, _: Identity, request: ListGames, done: Done[Reply]) -> None:
    """The games, as the nearest Redis has them."""
    api.store.nearest(calls.games(), replying(done, lambda games: Games(request.id, games)))


def list_pools(api: Api, _: Identity, request: ListPools, done: Done[Reply]) -> None:
    """A game's pools, as the nearest Redis has them."""

    def listed(pools: list[Pool]) -> Pools:
        return Pools(request.id, request.game, pools)

    api.store.nearest(calls.pools(request.game), replying(done, listed))


def place_prediction(api: Api, identity: Identity, request: PlacePrediction, done: Done[Reply]) -> None:
    """Place a prediction, and have the pool's distribution sent when it is due."""
    asked_s = time.monotonic()

    def placed(result: Receipt | Failure) -> None:
        if isinstance(result, Receipt) and result.due_in_ms >= 0:
            api.flusher.due(request.pool, result.due_in_ms, time.monotonic() - asked_s)
        done(result if isinstance(result, Failure) else _placed(request, result))

    api.store.place(identity.user, request, placed)


def _placed(request: PlacePrediction, receipt: Receipt) -> Placed:
    return Placed(
        request.id,
        request.pool,
        request.key,
        receipt.epoch,
        receipt.journal_id,
        receipt.balance,
        receipt.duplicate,
    )


HANDLERS: Final[dict[type[Request], Handler]] = {
    ListGames: list_games,
    ListPools: list_pools,
    PlacePrediction: place_prediction,
}
