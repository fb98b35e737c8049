"""Which request a method and a path stand for; the rest of an operation is in its request's type."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import Struct

from market import protocol
from market.protocol import ErrorCode, Request
from market.store import Failure


class Route(Struct, frozen=True):
    """An operation: names in braces in the path are fields of the request.

    The request's other fields are the query's of a GET and the JSON body's of every other method.
    """

    method: str
    path: str
    request: type[Request]
    reply: type[protocol.Reply]

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path gives."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The fields that the query or the body gives."""
        return tuple(
            field.name
            for field in msgspec.structs.fields(self.request)
            if field.name not in ("id", *self.in_path)
        )


ROUTES: Final = (
    Route("GET", "/v2/games", protocol.ListGames, protocol.Games),
    Route("PUT", "/v2/games/{game}", protocol.CreateGame, protocol.Accepted),
    Route("PUT", "/v2/games/{game}/status", protocol.SetGameStatus, protocol.Accepted),
    Route("GET", "/v2/games/{game}/pools", protocol.ListPools, protocol.Pools),
    Route("GET", "/v2/games/{game}/presence", protocol.GetPresence, protocol.Presence),
    Route("GET", "/v2/games/{game}/view", protocol.GetView, protocol.View),
    Route("POST", "/v2/games/{game}/questions", protocol.AskQuestion, protocol.Asked),
    Route("GET", "/v2/games/{game}/orders", protocol.ListOrders, protocol.Orders),
    Route("PUT", "/v2/games/{game}/pools/{pool}", protocol.OpenPool, protocol.Accepted),
    Route("POST", "/v2/games/{game}/pools/{pool}/close", protocol.ClosePool, protocol.Accepted),
    Route("POST", "/v2/games/{game}/pools/{pool}/resolve", protocol.ResolvePool, protocol.Accepted),
    Route("POST", "/v2/games/{game}/pools/{pool}/void", protocol.VoidPool, protocol.Accepted),
    Route("POST", "/v2/games/{game}/pools/{pool}/predictions", protocol.PlacePrediction, protocol.Placed),
    Route(
        "DELETE",
        "/v2/games/{game}/pools/{pool}/predictions/{key}",
        protocol.CancelPrediction,
        protocol.Cancelled,
    ),
    Route(
        "GET",
        "/v2/games/{game}/pools/{pool}/friends-predictions",
        protocol.ListFriendsPredictions,
        protocol.FriendsPredictions,
    ),
    Route("POST", "/v2/games/{game}/pools/{pool}/orders", protocol.PlaceOrder, protocol.Ordered),
    Route("DELETE", "/v2/pools/{pool}/orders/{key}", protocol.CancelOrder, protocol.OrderCancelled),
    Route("GET", "/v2/account", protocol.GetAccount, protocol.Account),
    Route("POST", "/v2/account/deposits", protocol.Deposit, protocol.Deposited),
    Route("GET", "/v2/account/transactions", protocol.ListTransactions, protocol.Transactions),
    Route("GET", "/v2/friends", protocol.ListFriends, protocol.Friends),
    Route("PUT", "/v2/friends/{user}", protocol.AddFriend, protocol.Accepted),
    Route("DELETE", "/v2/friends/{user}", protocol.RemoveFriend, protocol.Accepted),
    Route("POST", "/v2/events", protocol.SubmitEvent, protocol.Accepted),
    Route("POST", "/v2/events/several", protocol.SubmitEvents, protocol.EventsTaken),
)
"""Every operation that needs no open connection."""

_PATTERNS: Final = [
    (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path) + r"\Z"), route) for route in ROUTES
]


def find(
    method: str, path: str, kinds: Collection[type[Request]]
) -> tuple[Route, dict[str, str]] | list[str]:
    """The route and the path's fields, or the methods that the path has instead (none: there is no such).

    Only requests of the given kinds have a route.
    """
    methods = []
    for pattern, route in _PATTERNS:
        if route.request in kinds and (match := pattern.match(path)):
            if route.method == method:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
            methods.append(route.method)
    return methods


def read(
    route: Route, in_path: Mapping[str, str], query: str, body: bytes, key: str | None
) -> Request | Failure:
    """The request that was made.

    Args:
        route: of the operation.
        in_path: the fields of the path.
        query: what follows the question mark, without it.
        body: JSON, or nothing.
        key: of the header `Idempotency-Key`, which may take the place of the field `key`.
    """
    try:
        elsewhere = _query(route, query) if route.method == "GET" else _body(body, query)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        return Failure(ErrorCode.MALFORMED, str(error))
    if key is not None and "key" in route.elsewhere:
        elsewhere.setdefault("key", key)
    if twice := sorted(elsewhere.keys() & {"id", "type", *in_path}):
        return Failure(ErrorCode.MALFORMED, f"leave out {', '.join(twice)}: the path says it")
    try:
        return msgspec.convert({**elsewhere, **in_path, "id": 0}, route.request)
    except msgspec.ValidationError as error:
        return Failure(ErrorCode.MALFORMED, str(error))


def _query(route: Route, query: str) -> dict[str, Any]:
    types = {field.name: field.type for field in msgspec.structs.fields(route.request)}
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=16)
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("give each field of the query once")
    return {
        name: msgspec.convert(value, types[name], strict=False) if name in types else value
        for name, value in pairs
    }


def _body(body: bytes, query: str) -> dict[str, Any]:
    if query:
        raise ValueError("send the fields in the body, without a query")
    return msgspec.json.decode(body, type=dict[str, Any]) if body else {}
