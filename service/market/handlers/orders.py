"""Standing orders; they are carried out by the flush of their pool."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from market.calls import orders
from market.calls.orders import Kept
from market.handlers.kinds import Handler, replying
from market.protocol import (
    CancelOrder,
    ListOrders,
    Order,
    OrderCancelled,
    Ordered,
    Orders,
    PlaceOrder,
    Reply,
    Request,
)
from market.store import Done
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def place_order(api: Api, identity: Identity, request: PlaceOrder, done: Done[Reply]) -> None:
    """Keep an order, and have the pool flushed when its mark is passed already."""
    asked_s = time.monotonic()

    def placed(kept: Kept) -> Ordered:
        if kept.due_in_ms >= 0:
            api.flusher.due(request.pool, kept.due_in_ms, time.monotonic() - asked_s)
        return Ordered(request.id, orders.order_of(request), kept.duplicate)

    call = orders.place(identity.user, request, api.settings.flush_interval_ms)
    api.store.master(call, replying(done, placed))


def cancel_order(api: Api, identity: Identity, request: CancelOrder, done: Done[Reply]) -> None:
    """Withdraw an order."""

    def cancelled(_: bool) -> OrderCancelled:
        return OrderCancelled(request.id, request.pool, request.key)

    api.store.master(orders.cancel(identity.user, request), replying(done, cancelled))


def list_orders(api: Api, identity: Identity, request: ListOrders, done: Done[Reply]) -> None:
    """The user's orders in a game, as the master has them."""

    def listed(found: list[Order]) -> Orders:
        return Orders(request.id, request.game, [order for order in found if order.game == request.game])

    api.store.master(orders.orders(identity.user), replying(done, listed))


HANDLERS: Final[dict[type[Request], Handler]] = {
    PlaceOrder: place_order,
    CancelOrder: cancel_order,
    ListOrders: list_orders,
}
