"""What happens in the matches, as feeds and administrators tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market import match_events
from market.handlers.administration import accepting
from market.handlers.kinds import Handler, requiring
from market.protocol import MAX_MESSAGE_BYTES, ErrorCode, Reply, Request, SubmitEvent, encode
from market.store import Done, Failure
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def submit_event(api: Api, identity: Identity, request: SubmitEvent, done: Done[Reply]) -> None:
    """Take an event, once; a resolver applies it."""
    if len(encode(request.event)) > MAX_MESSAGE_BYTES:
        done(Failure(ErrorCode.MALFORMED, f"tell an event in at most {MAX_MESSAGE_BYTES} bytes"))
        return
    api.store.master(match_events.submit(identity.user, request.event), accepting(request, done))


HANDLERS: Final[dict[type[Request], Handler]] = {SubmitEvent: requiring(submit_event, "admin", "feed")}
