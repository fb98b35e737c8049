"""The reference of the protocol, made from its types: every message by example, every number, every route."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from market import protocol
from market.http.routes import ROUTES
from market.http.statuses import status_of
from market.store import MESSAGES

EXAMPLES: Final[dict[str, Any]] = {
    "id": 7,
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2lnbmF0dXJl",
    "game": "match-1",
    "pool": "winner",
    "user": "user-1",
    "key": "prediction-1",
    "question": "Who wins the match?",
    "title": "Home - Away",
    "option": 0,
    "options": ["home", "draw", "away"],
    "totals": [1200, 300, 500],
    "predictions": 14,
    "stake": 100,
    "amount": -100,
    "balance": 900,
    "epoch": 1764000000,
    "offset": 42,
    "journal_id": "1764000123456-0",
    "published_us": 1764000123456789,
    "expires_at_s": 1764003600,
    "closes_at_ms": 1764003600000,
    "at_ms": 1764000120000,
    "closes_in_s": 600,
    "cursor": "1764000000-1764000123456-0",
    "limit": 50,
    "winners": [0],
    "takeout": 50,
    "grace_ms": 5000,
    "share": 400,
    "sequence": 12,
    "kind": "goal",
    "event": "goal",
    "field": "team",
    "connections": 15767,
    "process": "node-eu-west-1.812",
    "region": "eu-west-1",
    "digest": "9f86d081884c7d65",
    "code": 4092,
    "message": "the stake is more than the balance",
    "named": ["user-2", "user-3"],
    "mutual": ["user-2"],
    "data": {"team": "home", "player": "9"},
    "asker": None,
    "duplicate": False,
    "retry_after_ms": 1500,
    "otherwise": None,
    "status": "open",
}
"""A value for each field's name; a type that holds others is made from theirs."""

_OF_KIND: Final[dict[tuple[type, str], Any]] = {
    (protocol.Game, "id"): "match-1",
    (protocol.Game, "status"): "live",
    (protocol.GameChanged, "status"): "live",
    (protocol.GameChanged, "pool"): "",
    (protocol.Pool, "id"): "winner",
    (protocol.Event, "id"): "goal-2",
    (protocol.EventOutcome, "event"): "goal-2",
    (protocol.EventOutcome, "code"): None,
    (protocol.EventOutcome, "message"): None,
    (protocol.SetGameStatus, "status"): "live",
    (protocol.CreateGame, "status"): "scheduled",
    (protocol.Deposit, "amount"): 1000,
    (protocol.Deposit, "key"): "deposit-1",
    (protocol.Deposited, "key"): "deposit-1",
    (protocol.Transaction, "kind"): "prediction",
    (protocol.AddFriend, "user"): "user-2",
    (protocol.RemoveFriend, "user"): "user-2",
    (protocol.FriendPrediction, "user"): "user-2",
    (protocol.Rule, "options"): {"home": 0, "away": 2},
    (protocol.Joined, "pools"): None,
}


def example(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """A message of a kind with a value in every field."""
    hints = typing.get_type_hints(kind, include_extras=True)
    values = {
        field.name: _value(kind, field.name, hints[field.name]) for field in msgspec.structs.fields(kind)
    }
    return kind(**values)


def _value(kind: type, name: str, hint: Any) -> Any:
    if (kind, name) in _OF_KIND:
        return _OF_KIND[kind, name]
    struct = _struct_of(hint)
    if struct is not None:
        return [example(struct)] if get_origin(_bare(hint)) is list else example(struct)
    if name in EXAMPLES:
        return EXAMPLES[name]
    hint = _bare(hint)
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    raise LookupError(f"there is no example for {kind.__name__}.{name}")


def _bare(hint: Any) -> Any:
    """A type without its bounds and without None."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif get_origin(hint) in (types.UnionType, typing.Union):
            hint = next(part for part in get_args(hint) if part is not types.NoneType)
        else:
            return hint


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    hint = _bare(hint)
    if get_origin(hint) is list:
        hint = _bare(get_args(hint)[0])
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None


def text() -> str:
    """The reference as Markdown."""
    return "\n".join(
        [
            *_messages("Requests", get_args(protocol.ClientMessage)),
            *_messages("Replies", [kind for kind in get_args(protocol.ServerMessage) if _is_reply(kind)]),
            *_messages("Pushes", [kind for kind in get_args(protocol.ServerMessage) if not _is_reply(kind)]),
            *_numbers("Errors", protocol.ErrorCode, http=True),
            *_numbers("Close codes", protocol.CloseCode, http=False),
            *_routes(),
        ]
    )


def _is_reply(kind: type) -> bool:
    return issubclass(kind, protocol.Reply | protocol.Error)


def _messages(title: str, kinds: Iterable[type[msgspec.Struct]]) -> Iterator[str]:
    yield f"### {title}\n"
    for kind in kinds:
        yield f"#### `{kind.__struct_config__.tag}`\n"
        yield f"{_paragraphs(kind.__doc__)}\n"
        yield f"```json\n{msgspec.json.encode(example(kind)).decode()}\n```\n"


def _paragraphs(text: str | None) -> str:
    blocks = (text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)


def _numbers(title: str, numbers: type[IntEnum], *, http: bool) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| number | name | HTTP | message |" if http else "| number | name |"
    yield "| --- | --- | --- | --- |" if http else "| --- | --- |"
    for number in numbers:
        yield f"| {int(number)} | {number.name} |{_meaning(number) if http else ''}"
    yield ""


def _meaning(number: IntEnum) -> str:
    code = protocol.ErrorCode(number)
    return f" {int(status_of(code))} | {MESSAGES.get(code, '')} |"


def _routes() -> Iterator[str]:
    yield "### HTTP\n"
    yield "| method | path | request | reply |"
    yield "| --- | --- | --- | --- |"
    for route in ROUTES:
        request, reply = route.request.__struct_config__.tag, route.reply.__struct_config__.tag
        yield f"| {route.method} | `{route.path}` | `{request}` | `{reply}` |"
    yield ""
