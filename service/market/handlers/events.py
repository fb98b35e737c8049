"""What happens in the matches, as feeds and administrators tell it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from market import match_events
from market.handlers.administration import accepting
from market.handlers.kinds import Handler, requiring
from market.protocol import (
    MAX_MESSAGE_BYTES,
    Accepted,
    ErrorCode,
    EventOutcome,
    EventsTaken,
    Reply,
    Request,
    SubmitEvent,
    SubmitEvents,
    encode,
)
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


def submit_events(api: Api, identity: Identity, request: SubmitEvents, done: Done[Reply]) -> None:
    """Take several events, each once; those that are refused do not hold up the others."""
    outcomes: dict[int, EventOutcome] = {}

    def taken(place: int, result: Reply | Failure) -> None:
        event = request.events[place].id
        if isinstance(result, Failure):
            outcomes[place] = EventOutcome(event, code=result.code, message=result.message)
        else:
            outcomes[place] = EventOutcome(event, cast(Accepted, result).duplicate)
        if len(outcomes) == len(request.events):
            done(EventsTaken(request.id, [outcomes[index] for index in range(len(outcomes))]))

    for place, event in enumerate(request.events):
        submit_event(api, identity, SubmitEvent(0, event), partial(taken, place))


HANDLERS: Final[dict[type[Request], Handler]] = {
    SubmitEvent: requiring(submit_event, "admin", "feed"),
    SubmitEvents: requiring(submit_events, "admin", "feed"),
}
