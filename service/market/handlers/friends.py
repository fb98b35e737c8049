"""Whom users name friends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market.calls import friends
from market.calls.friends import Named
from market.handlers.kinds import Handler, replying
from market.protocol import Accepted, AddFriend, Friends, ListFriends, RemoveFriend, Reply, Request
from market.store import Done
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def add_friend(api: Api, identity: Identity, request: AddFriend, done: Done[Reply]) -> None:
    """Name another user a friend; whether that user has an account is nobody's business."""
    call = friends.befriend(identity.user, request.user, "friend")
    api.store.master(call, replying(done, lambda before: Accepted(request.id, before)))


def remove_friend(api: Api, identity: Identity, request: RemoveFriend, done: Done[Reply]) -> None:
    """Take back that another user is a friend."""
    call = friends.befriend(identity.user, request.user, "unfriend")
    api.store.master(call, replying(done, lambda before: Accepted(request.id, before)))


def list_friends(api: Api, identity: Identity, request: ListFriends, done: Done[Reply]) -> None:
    """The user's friends, as the nearest Redis has them."""

    def listed(result: Named) -> Friends:
        return Friends(request.id, result.named, result.mutual)

    api.store.nearest(friends.friends(identity.user), replying(done, listed))


HANDLERS: Final[dict[type[Request], Handler]] = {
    AddFriend: add_friend,
    RemoveFriend: remove_friend,
    ListFriends: list_friends,
}
