"""How each request is answered, whatever brought it: a WebSocket message or an HTTP request.

A handler takes what the process shares, who asks, the request and where the reply goes. It returns at once
and calls `done` exactly once. What belongs to a connection (authenticate, join, leave) is the session's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from market.handlers import accounts, administration, channels, events, friends, games, orders, questions
from market.handlers.kinds import Handler
from market.protocol import Reply, Request
from market.store import Done, Failure
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api

HANDLERS: Final[dict[type[Request], Handler]] = {
    **games.HANDLERS,
    **channels.HANDLERS,
    **administration.HANDLERS,
    **events.HANDLERS,
    **accounts.HANDLERS,
    **friends.HANDLERS,
    **questions.HANDLERS,
    **orders.HANDLERS,
}
"""The handler of each kind of request."""


def handle(api: Api, identity: Identity, request: Request, done: Done[Reply]) -> None:
    """Answer a request, and count it."""
    begun_s = time.perf_counter()
    kind = type(request)

    def answered(result: Reply | Failure) -> None:
        code = int(result.code) if isinstance(result, Failure) else None
        api.metrics.answered(str(kind.__struct_config__.tag), code, time.perf_counter() - begun_s)
        done(result)

    HANDLERS[kind](api, identity, request, answered)


__all__ = ["HANDLERS", "Handler", "handle"]
