"""The questions to Redis behind friends."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from market.calls.answers import done_before
from market.limits import MAX_FRIENDS
from market.protocol import ErrorCode
from market.scripts import evaluate, evaluate_readonly, script
from market.store import Call, Failure, failure_of

BEFRIEND: Final = script("befriend", "time", "journal")
LIST_FRIENDS: Final = script("list_friends", flags="no-writes")

_REASONS: Final = {
    ErrorCode.CONFLICT: "a user is no friend of their own; name somebody else",
    ErrorCode.TOO_MANY_REQUESTS: f"a user may name {MAX_FRIENDS} friends; remove one first",
}


class Named(Struct, frozen=True):
    """Whom a user named friends, and those of them who did the same; each sorted."""

    named: list[str]
    mutual: list[str]


def befriend(user: str, other: str, kind: Literal["friend", "unfriend"]) -> Call[bool]:
    """Name another user a friend or take it back; whether it was so before. CONFLICT, TOO_MANY_REQUESTS."""
    return Call(evaluate(BEFRIEND, user, other, kind), done_before(_REASONS), BEFRIEND)


def friends(user: str) -> Call[Named]:
    """A user's friends."""
    return Call(evaluate_readonly(LIST_FRIENDS, user), read_friends, LIST_FRIENDS)


def read_friends(reply: Any) -> Named | Failure:
    """The friends in the answer of the script `list_friends`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    pairs = sorted((name.decode(), mutual == 1) for name, mutual in zip(reply[::2], reply[1::2], strict=True))
    return Named([name for name, _ in pairs], [name for name, mutual in pairs if mutual])
