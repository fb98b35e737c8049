"""The questions to Redis that pay a pool out, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from market import keys
from market.protocol import ErrorCode
from market.scripts import CHANGING_POOLS, evaluate, script
from market.settlement import Pays, Stake, Terms
from market.store import Call, Failure, failure, failure_of

SETTLE: Final = script("settle", *CHANGING_POOLS)

CHUNK: Final = 100
"""Predictions that one call pays: see decision 0020 for how long that holds Redis."""

_decode_winners: Final = msgspec.json.Decoder(list[int]).decode


class Settlement(Struct, frozen=True):
    """A pool whose outcome is fixed: how it pays, to whom, and how far it has."""

    terms: Terms
    winners: frozenset[int]
    cursor: int


class Part(Struct, frozen=True):
    """The part of the book that is to be paid next, from the cursor on; None is a cancelled prediction."""

    cursor: int
    predictions: list[Stake | None]


End = Literal["settled", "elsewhere"]
"""All is paid; or it is not for us to pay the next part, since another one goes on with it."""

Progress = Part | End


def settlement(pool: str) -> Call[Settlement | None]:
    """How a pool pays, None when it is not to be paid (any more)."""
    return Call(("HGETALL", keys.pool(pool)), read_settlement)


def settle(pool: str, cursor: int, payments: Sequence[int | None] = (), limit: int = CHUNK) -> Call[Progress]:
    """Pay the predictions from the cursor on; without payments only see what is to be paid."""
    amounts = ["" if payment is None else payment for payment in payments]
    return Call(evaluate(SETTLE, pool, cursor, limit, *amounts), read_settle, SETTLE)


def read_settlement(reply: Any) -> Settlement | Failure | None:
    """The settlement in a pool's fields."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    fields = _fields(reply)
    if fields.get("status") != "resolving":
        return None
    winners = frozenset(_decode_winners(fields["winners"]))
    winning = sum(int(fields[f"total:{option}"]) for option in winners)
    pays: Pays = "refund" if fields["pays"] == "refund" else "winnings"
    terms = Terms(pays, winning, int(fields["net"]), int(fields["taken"]))
    return Settlement(terms, winners, int(fields["cursor"]))


def read_settle(reply: Any) -> Progress | Failure:
    """What is next, or the refusal, in the answer of the script `settle`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if isinstance(reply[0], int):
        return failure(ErrorCode(reply[0]))
    if reply[0] == b"pay":
        return Part(int(reply[1]), [_stake(entry) for entry in reply[2:]])
    return "settled" if reply[0] == b"settled" else "elsewhere"


def _stake(entry: bytes) -> Stake | None:
    if not entry:
        return None
    option, amount = entry.split(b" ")[2:4]
    return Stake(int(option), int(amount))


def _fields(reply: Any) -> dict[str, str]:
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}
