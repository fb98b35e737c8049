"""The questions to Redis behind standing orders."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from market.calls.answers import done_before, refused
from market.limits import MAX_ORDERS_PER_POOL, MAX_ORDERS_PER_USER
from market.protocol import CancelOrder, ErrorCode, Order, PlaceOrder
from market.scripts import PREDICTING, evaluate, evaluate_readonly, script
from market.store import Call, Failure, failure_of

PLACE_ORDER: Final = script("place_order", "time", "journal", *PREDICTING, "orders")
CANCEL_ORDER: Final = script("cancel_order", "time", "journal", "orders")
LIST_ORDERS: Final = script("list_orders", flags="no-writes")

_REASONS: Final = {
    ErrorCode.TOO_MANY_REQUESTS: f"a user may have {MAX_ORDERS_PER_USER} standing orders, and a pool"
    f" {MAX_ORDERS_PER_POOL}; cancel one or wait",
}

_decode: Final = msgspec.json.Decoder(Order).decode


class Kept(Struct, frozen=True):
    """An order is kept; `due_in_ms` until the pool's flush when its mark is passed already, else -1."""

    duplicate: bool
    due_in_ms: int


def order_of(request: PlaceOrder) -> Order:
    """The order that a request asks for."""
    return Order(request.key, request.game, request.pool, request.option, request.stake, request.when)


def place(user: str, request: PlaceOrder, flush_interval_ms: int) -> Call[Kept]:
    """Leave an order; each of the errors of `PlaceOrder`."""
    when = request.when
    command = evaluate(
        PLACE_ORDER,
        user,
        request.game,
        request.pool,
        request.option,
        request.stake,
        request.key,
        when.option,
        when.share,
        when.passes,
        msgspec.json.encode(order_of(request)),
        flush_interval_ms,
    )
    return Call(command, read_place, PLACE_ORDER)


def cancel(user: str, request: CancelOrder) -> Call[bool]:
    """Withdraw an order; whether it had been withdrawn before. NO_SUCH_ORDER, JOURNAL_FULL."""
    return Call(evaluate(CANCEL_ORDER, user, request.pool, request.key), done_before(), CANCEL_ORDER)


def orders(user: str) -> Call[list[Order]]:
    """A user's orders in all games."""
    return Call(evaluate_readonly(LIST_ORDERS, user), read_orders, LIST_ORDERS)


def read_place(reply: Any) -> Kept | Failure:
    """What the script `place_order` answered."""
    why = refused(reply, _REASONS)
    return why if why is not None else Kept(reply[0] == 1, reply[1])


def read_orders(reply: Any) -> list[Order] | Failure:
    """The orders in the answer of the script `list_orders`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return sorted(map(_decode, reply), key=lambda order: (order.pool, order.key))
