"""How each request is answered, whatever brought it: a WebSocket message or an HTTP request.

A handler takes what the process shares, who asks, the request and where the reply goes. It returns at once
and calls `done` exactly once. What belongs to a connection (authenticate, join, leave) is the session's.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from market.audit import FULL, WRITES
from market.handlers import (
    accounts,
    administration,
    channels,
    events,
    friends,
    games,
    history,
    orders,
    questions,
)
from market.handlers.kinds import Handler
from market.origins import Span, current, within
from market.protocol import ErrorCode, Reply, Request
from market.store import Done, Failure, failure
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api

_log = logging.getLogger(__name__)

HANDLERS: Final[dict[type[Request], Handler]] = {
    **games.HANDLERS,
    **channels.HANDLERS,
    **administration.HANDLERS,
    **events.HANDLERS,
    **accounts.HANDLERS,
    **friends.HANDLERS,
    **questions.HANDLERS,
    **orders.HANDLERS,
    **history.HANDLERS,
}
"""The handler of each kind of request."""


def handle(api: Api, identity: Identity, request: Request, done: Done[Reply]) -> None:
    """Answer a request: counted, noted in the audit log, and held back while the journal is nearly full.

    With more commands waiting for the audit log than may, it is refused with TOO_MANY_REQUESTS.
    """
    if api.audit.is_full:
        api.audit.refused += 1
        done(FULL)
        return
    begun_s = time.perf_counter()
    kind = type(request)
    origin, span = current(), None
    if api.tracing is not None and origin is not None:
        span = origin.span = api.tracing.begin(str(kind.__struct_config__.tag), origin.connection.name)

    def answered(result: Reply | Failure) -> None:
        took_s = time.perf_counter() - begun_s
        code = int(result.code) if isinstance(result, Failure) else None
        api.metrics.answered(str(kind.__struct_config__.tag), code, took_s)
        if span is not None:
            _end(span, result)
        api.audit.answered(identity.user, request, result, took_s)
        done(result)

    delay_s = api.journal.delay_s() if kind in WRITES else 0.0
    if kind in WRITES and (delay_s > 0 or api.journal.holds):
        api.journal.hold(partial(within, origin, _begin, api, identity, request, answered), delay_s)
        return
    try:
        HANDLERS[kind](api, identity, request, answered)
    except Exception:
        if span is not None:
            _end(span, failure(ErrorCode.INTERNAL))
        raise


def _end(span: Span, result: Reply | Failure) -> None:
    if isinstance(result, Failure):
        span.end(ErrorCode(result.code).name, is_fault=result.code >= ErrorCode.INTERNAL)
    else:
        span.end()


def _begin(api: Api, identity: Identity, request: Request, answered: Done[Reply]) -> None:
    try:
        HANDLERS[type(request)](api, identity, request, answered)
    except Exception:
        _log.exception("the handling of %s failed", type(request).__name__)
        answered(failure(ErrorCode.INTERNAL))


__all__ = ["HANDLERS", "Handler", "handle"]
