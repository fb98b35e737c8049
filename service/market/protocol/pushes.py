"""What is sent unasked to everyone who joined a game, in one order."""

from __future__ import annotations

from msgspec import Struct

from market.protocol.naming import snake
from market.protocol.values import Pool


class Push(Struct, frozen=True, tag_field="type", tag=snake):
    """What every push has: its game and its place in the game's one order.

    `offset` counts the game's pushes from 1 without gaps within an `epoch`; `published_us` is the time of
    publication at the master (microseconds since 1970).
    """

    game: str
    pool: str
    epoch: int
    offset: int
    published_us: int


class Distribution(Push, frozen=True):
    """The stakes on a pool's options, sent at most once per pool every 3 s."""

    totals: list[int]
    predictions: int


class PoolChanged(Push, frozen=True):
    """A pool was opened, closed, resolved or voided (`market.v2`); `winners` of a resolved one."""

    status: str
    question: str
    options: list[str]
    totals: list[int]
    predictions: int
    winners: list[int]


class GameChanged(Push, frozen=True):
    """A game was announced, begun or ended (`market.v2`); `pool` is empty."""

    title: str
    status: str


class StateLost(Struct, frozen=True, tag_field="type", tag="state_lost"):
    """Pushes were lost that cannot be had again (`market.v2`): `pools` takes their place."""

    game: str
    epoch: int
    offset: int
    pools: list[Pool]
