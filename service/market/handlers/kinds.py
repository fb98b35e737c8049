"""What a handler is, and what handlers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from market.protocol import ErrorCode, Reply
from market.store import Done, Failure
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api

Handler = Callable[["Api", Identity, Any, Done[Reply]], None]
"""`(api, identity, request, done)`; the request is of the kind that the handler is registered for."""

T = TypeVar("T")


def replying(done: Done[Reply], reply: Callable[[T], Reply]) -> Done[T]:
    """A callback that hands on a failure, and a result as the reply that is made of it."""

    def answered(result: T | Failure) -> None:
        done(result if isinstance(result, Failure) else reply(result))

    return answered


def lacking(identity: Identity, *scopes: str) -> Failure | None:
    """The refusal of somebody whose token has none of the scopes; None when it has one."""
    if not identity.scopes.isdisjoint(scopes):
        return None
    return Failure(ErrorCode.NOT_ALLOWED, f"this needs a token with the scope {' or '.join(scopes)}")


def requiring(handler: Handler, *scopes: str) -> Handler:
    """The handler, for those only whose token has one of the scopes."""

    def checked(api: Api, identity: Identity, request: Any, done: Done[Reply]) -> None:
        if refusal := lacking(identity, *scopes):
            done(refusal)
        else:
            handler(api, identity, request, done)

    return checked
