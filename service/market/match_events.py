"""The questions to Redis about what happens in the matches: each event once, in the order of its game."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from market import keys
from market.administration import Lapse, Outcome, read_outcome
from market.protocol import Event, Rule
from market.scripts import CHANGING_POOLS, evaluate, script
from market.store import Call, Failure, failure_of

SUBMIT: Final = script("submit_event", "time", "journal", "turn")
NEXT: Final = script("next_event", "time", "turn")
UNDECIDED: Final = script("undecided", flags="no-writes")
AGENDA: Final = script("agenda", *CHANGING_POOLS)

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_decode_rule: Final = msgspec.json.Decoder(Rule).decode
_decode_lapse: Final = msgspec.json.Decoder(Lapse).decode


class _Kept(Struct, frozen=True):
    """An event as Redis keeps it: what makes it the same event, which its time does not."""

    game: str
    id: str
    sequence: int
    kind: str
    data: dict[str, str]


_decode_kept: Final = msgspec.json.Decoder(_Kept).decode


class Arrival(Struct, frozen=True):
    """An event that has its turn, and when it arrived (ms since 1970, by the master's clock)."""

    event: Event
    arrived_ms: int


class Undecided(Struct, frozen=True):
    """A pool that an event may decide: one whose sequence is higher than `since`."""

    pool: str
    rule: Rule | None
    lapse: Lapse | None
    since: int


class Agenda(Struct, frozen=True):
    """What a resolver has to do: games whose events are to be applied, and pools to be paid out.

    `closed` pools were closed with it, in `waiting` games events wait, also for those before them.
    """

    closed: int
    games: list[str]
    settling: list[str]
    waiting: int


def submit(by: str, event: Event) -> Call[Outcome]:
    """Take an event, once; EXISTS when its id is that of another, CONFLICT when the game has too many."""
    kept = _Kept(event.game, event.id, event.sequence, event.kind, event.data)
    command = evaluate(
        SUBMIT, by, event.game, event.id, event.sequence, _encode(kept), event.at_ms, event.kind
    )
    return Call(command, read_outcome, SUBMIT)


def following(game: str, window_ms: int, applied: str = "") -> Call[Arrival | None]:
    """The game's event that has its turn, None for none, after the one of the id `applied` was applied."""
    return Call(evaluate(NEXT, game, window_ms, applied), read_following, NEXT)


def received(game: str) -> Call[int]:
    """The highest sequence of the events that arrived of a game, 0 when none did."""
    return Call(("HGET", keys.feed(game), "received"), read_received)


def undecided(game: str, kind: str) -> Call[list[Undecided]]:
    """The game's pools that an event of a kind may decide."""
    return Call(evaluate(UNDECIDED, game, kind), read_undecided, UNDECIDED)


def agenda(by: str, limit: int) -> Call[Agenda]:
    """What there is to do; closes the pools whose time is over."""
    return Call(evaluate(AGENDA, by, limit), read_agenda, AGENDA)


def read_following(reply: Any) -> Arrival | Failure | None:
    """The event in the answer of the script `next_event`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if reply[0] != b"apply":
        return None
    kept = _decode_kept(reply[1])
    event = Event(kept.game, kept.id, kept.sequence, kept.kind, int(reply[2]), kept.data)
    return Arrival(event, int(reply[3]))


def read_received(reply: Any) -> int | Failure:
    """The sequence in the answer to HGET."""
    return failure_of(reply) if isinstance(reply, Exception) else int(reply or 0)


def read_undecided(reply: Any) -> list[Undecided] | Failure:
    """The pools in the answer of the script `undecided`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    pools = [
        Undecided(
            pool.decode(),
            _decode_rule(rule) if rule else None,
            _decode_lapse(lapse) if lapse else None,
            int(since),
        )
        for pool, rule, lapse, since in reply
    ]
    return sorted(pools, key=lambda undecided: undecided.pool)


def read_agenda(reply: Any) -> Agenda | Failure:
    """The agenda in the answer of the script `agenda`."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    closed, games, settling, waiting = reply
    return Agenda(closed, [name.decode() for name in games], [name.decode() for name in settling], waiting)
