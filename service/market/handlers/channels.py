"""A game's channel: who listens, and what a process has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market import calls
from market.handlers.kinds import Handler, replying, requiring
from market.history import digest
from market.protocol import GetPresence, GetView, Presence, Reply, Request, Seen, View
from market.store import Done, Failure
from market.tokens import ADMIN, Identity
from market.topics import Topic

if TYPE_CHECKING:
    from market.server import Api


def get_presence(api: Api, _: Identity, request: GetPresence, done: Done[Reply]) -> None:
    """How many connections have joined a game, in all regions, a few seconds ago."""

    def counted(connections: int) -> Presence:
        return Presence(request.id, request.game, connections)

    api.store.nearest(calls.presence(request.game), replying(done, counted))


def get_view(api: Api, _: Identity, request: GetView, done: Done[Reply]) -> None:
    """Which pushes of a game this process has."""

    def opened(topic: Topic | Failure) -> None:
        if isinstance(topic, Failure):
            done(topic)
            return
        position = topic.history.position
        pushes = [Seen(push.position.offset, digest(push)) for push in topic.history]
        region = api.settings.region
        done(View(request.id, request.game, api.process, region, position.epoch, position.offset, pushes))

    api.topics.open(request.game, opened)


HANDLERS: Final[dict[type[Request], Handler]] = {
    GetPresence: get_presence,
    GetView: requiring(get_view, ADMIN),
}
