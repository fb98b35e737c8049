"""One user of the load: what it sends, what it makes of what it gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from bench.client import Connection, Data, Listener
from bench.outcome import Prediction
from bench.scenario import Scenario
from bench.schedule import Action
from bench.tally import Tally
from market import protocol


def _tag(message: type[Struct]) -> str:
    return str(message.__struct_config__.tag)


_LIST_GAMES: Final = _tag(protocol.ListGames)
_JOIN_GAME: Final = _tag(protocol.JoinGame)
_LIST_POOLS: Final = _tag(protocol.ListPools)
_PLACE: Final = _tag(protocol.PlacePrediction)
_DISTRIBUTION: Final = _tag(protocol.Distribution)
_ERROR: Final = _tag(protocol.Error)
_STATE_LOST: Final = _tag(protocol.StateLost)
_OTHER_PUSHES: Final = frozenset((_tag(protocol.PoolChanged), _tag(protocol.GameChanged)))

ANSWERS: Final = {
    _LIST_GAMES: _tag(protocol.Games),
    _JOIN_GAME: _tag(protocol.Joined),
    _LIST_POOLS: _tag(protocol.Pools),
    _PLACE: _tag(protocol.Placed),
}
"""The reply that each request of the scenario asks for."""

FAILED_FROM: Final = 5000
"""From this error code on the server failed, and whether a prediction was taken is not known."""


class Head(Struct, frozen=True):
    """What the load looks at in a server's message; the rest is skipped without being built."""

    type: str
    id: int | None = None
    code: int = 0
    pool: str = ""
    epoch: int = 0
    offset: int = 0
    published_us: int = 0


_decode: Final = msgspec.json.Decoder(Head).decode


class Sent(NamedTuple):
    """A request that waits for its answer; `intended_ns` is of `time.monotonic_ns`."""

    kind: str
    intended_ns: int
    prediction: Prediction | None


class Setting(NamedTuple):
    """What all users of a worker share; the seed makes their idempotency keys those of this run."""

    scenario: Scenario
    seed: int
    tally: Tally


class User:
    """A user, from connecting to the end.

    A request's latency counts from when its action was due: an action that falls due before the connection
    is open, or a prediction before the game is joined, is sent when it can be, and its latency includes that
    wait. What follows at once from an answer (the list of games after connecting, the list of pools after
    joining) is due when that answer arrives; where none arrives it is never due, and the wait is that of the
    handshake or of the joining.

    Whatever was due and not done at the end enters the latencies with its age then, a lower bound: requests
    without an answer, actions that could not be sent or were dropped, the handshakes of users who never
    connected, and all that a user was still to do after the connection had failed or was lost.

    A refusal (error 4000-4999) is counted and enters no latency. A failure of the server (5000-5999) enters
    with the time that it took, and leaves a prediction with an unknown outcome.
    """

    __slots__ = (
        "_called_ns",
        "_connection",
        "_due",
        "_ended",
        "_joined",
        "_name",
        "_next_id",
        "_opened_ns",
        "_outstanding",
        "_position",
        "_positions",
        "_scenario",
        "_seed",
        "_tally",
        "_undone",
    )

    def __init__(self, name: str, connection: Callable[[Listener], Connection], setting: Setting) -> None:
        self._name = name
        self._seed = setting.seed
        self._scenario = setting.scenario
        self._tally = setting.tally
        self._connection: Final = connection(self)
        self._next_id = 0
        self._called_ns = 0
        self._opened_ns = 0
        self._joined = False
        self._ended = False
        self._outstanding: dict[int, Sent] = {}
        self._due: list[tuple[str, Action | None, int]] = []
        self._undone: list[tuple[str, int]] = []
        self._position: tuple[int, int] | None = None
        self._positions: dict[str, tuple[int, int]] = {}

    @property
    def is_open(self) -> bool:
        """Whether the user is connected."""
        return self._connection.is_open

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection still, open or closing."""
        return self._connection.is_connected

    @property
    def joined(self) -> bool:
        """Whether the user has joined the game."""
        return self._joined

    @property
    def positions(self) -> dict[str, tuple[int, int]]:
        """By pool, the (epoch, offset) of the last broadcast that the user received."""
        return self._positions

    async def connect(self, called_ns: int, timeout_s: float) -> None:
        """Open the connection; raises what `Connection.open` raises, having ended the user."""
        self._called_ns = called_ns
        self._tally.due["handshake"] += 1
        try:
            await self._connection.open(timeout_s)
        except BaseException:
            self._end("dropped:not-connected")
            raise

    def join(self, intended_ns: int) -> None:
        """It is time to join the game."""
        self._act(_JOIN_GAME, None, intended_ns)

    def place(self, action: Action, intended_ns: int) -> None:
        """It is time to place a prediction."""
        self._act(_PLACE, action, intended_ns)

    def close(self, now_ns: int) -> None:
        """Leave, at the end of the run: what was due and is not done enters the latencies with its age."""
        if not self._ended:
            self._end("dropped:not-joined")
            self._connection.close()
        if self._called_ns and not self._opened_ns:
            self._record("handshake", self._called_ns, now_ns)
        for quantity, intended_ns in self._undone:
            self._record(quantity, intended_ns, now_ns)
        self._undone.clear()

    def abort(self) -> None:
        """Cut the connection, if there is one still."""
        self._connection.abort()

    def opened(self, now_ns: int) -> None:
        """The connection is open: list the games, then do what fell due before."""
        tally = self._tally
        tally.opened += 1
        tally.answered["handshake"] += 1
        self._record("handshake", self._called_ns, now_ns)
        self._opened_ns = now_ns
        self._follow_up(_LIST_GAMES, now_ns)
        self._catch_up()

    def message(self, data: Data, now_ns: int) -> None:
        """A message of the server; what comes after the user has left says nothing about the run."""
        if self._ended:
            return
        try:
            head = _decode(data)
        except msgspec.DecodeError:
            self._tally.errors["reply:undecodable"] += 1
            return
        if head.type == _DISTRIBUTION:
            self._distribution(head)
        elif head.type in _OTHER_PUSHES:
            self._follow(head)
        elif head.type == _STATE_LOST:
            self._tally.errors["push:state_lost"] += 1
            self._position = (head.epoch, head.offset)
        else:
            self._reply(head, now_ns)

    def closed(self, code: int) -> None:
        """The connection ended; before the user left, that is a loss."""
        if not self._ended:
            self._tally.lost += 1
            self._tally.errors[f"close:{code}"] += 1
            self._end("dropped:not-connected")

    def _act(self, kind: str, action: Action | None, intended_ns: int) -> None:
        """Do an action of the schedule, now or as soon as it can be done."""
        self._tally.due[_quantity(kind)] += 1
        if self._ended:
            self._drop(kind, intended_ns, "dropped:not-connected")
        elif self._is_ready(kind):
            self._send(kind, action, intended_ns)
        elif len(self._due) < self._scenario.max_outstanding:
            self._due.append((kind, action, intended_ns))
        else:
            self._drop(kind, intended_ns, "dropped:outstanding")

    def _is_ready(self, kind: str) -> bool:
        return self._opened_ns > 0 and (self._joined or kind == _JOIN_GAME)

    def _catch_up(self) -> None:
        """Do what fell due before and can be done now."""
        due, self._due = self._due, []
        for kind, action, intended_ns in due:
            if self._is_ready(kind):
                self._send(kind, action, intended_ns)
            else:
                self._due.append((kind, action, intended_ns))

    def _follow_up(self, kind: str, now_ns: int) -> None:
        """Ask for what follows at once from an answer."""
        self._tally.due[_quantity(kind)] += 1
        self._send(kind, None, now_ns)

    def _drop(self, kind: str, intended_ns: int, why: str) -> None:
        self._tally.errors[why] += 1
        self._undone.append((_quantity(kind), intended_ns))

    def _send(self, kind: str, action: Action | None, intended_ns: int) -> None:
        if len(self._outstanding) >= self._scenario.max_outstanding:
            self._drop(kind, intended_ns, "dropped:outstanding")
            return
        request_id = self._next_id
        self._next_id = request_id + 1
        prediction = self._prediction(action) if action else None
        self._outstanding[request_id] = Sent(kind, intended_ns, prediction)
        self._tally.outstanding += 1
        self._connection.send(protocol.encode(self._request(request_id, kind, prediction)))

    def _prediction(self, action: Action) -> Prediction:
        return (self._name, f"{self._seed}-{action.number}", self._scenario.pool, action.option, action.stake)

    def _request(self, request_id: int, kind: str, prediction: Prediction | None) -> protocol.ClientMessage:
        game = self._scenario.game
        if prediction:
            _, key, pool, option, stake = prediction
            return protocol.PlacePrediction(request_id, game, pool, option, stake, key)
        if kind == _JOIN_GAME:
            return protocol.JoinGame(request_id, game)
        if kind == _LIST_POOLS:
            return protocol.ListPools(request_id, game)
        return protocol.ListGames(request_id)

    def _reply(self, head: Head, now_ns: int) -> None:
        tally = self._tally
        if head.type == _ERROR:
            tally.errors[f"error:{head.code}"] += 1
        sent = self._outstanding.pop(head.id, None) if head.id is not None else None
        if sent is None:
            if head.type != _ERROR:
                tally.errors["reply:unknown"] += 1
            return
        tally.outstanding -= 1
        tally.requests += 1
        if head.type == ANSWERS[sent.kind]:
            self._took(sent, now_ns)
            self._answered(sent, now_ns)
        elif head.type != _ERROR:
            tally.errors["reply:unexpected"] += 1
            self._unanswered(sent)
        elif head.code >= FAILED_FROM:
            self._took(sent, now_ns)
            self._unanswered(sent)

    def _answered(self, sent: Sent, now_ns: int) -> None:
        self._tally.answered[_quantity(sent.kind)] += 1
        if sent.prediction:
            self._tally.acknowledged.append(sent.prediction)
        elif sent.kind == _JOIN_GAME:
            self._joined = True
            self._tally.settled_us = time.time_ns() // 1000
            self._follow_up(_LIST_POOLS, now_ns)
            self._catch_up()

    def _distribution(self, head: Head) -> None:
        tally = self._tally
        if head.published_us > tally.until_us:
            return
        tally.broadcast(head.pool, head.epoch, head.offset, head.published_us, time.time_ns() // 1000)
        if self._follow(head):
            self._positions[head.pool] = (head.epoch, head.offset)

    def _follow(self, head: Head) -> bool:
        """Whether the push is a new one; counts those between it and the last one as missed."""
        epoch, offset = self._position or (head.epoch, head.offset - 1)
        if (head.epoch, head.offset) <= (epoch, offset):
            self._tally.duplicate += 1
            return False
        if head.epoch == epoch:
            self._tally.missed += head.offset - offset - 1
        self._position = (head.epoch, head.offset)
        return True

    def _took(self, sent: Sent, now_ns: int) -> None:
        self._record(_quantity(sent.kind), sent.intended_ns, now_ns)

    def _record(self, quantity: str, intended_ns: int, now_ns: int) -> None:
        self._tally.latency[quantity].record((now_ns - intended_ns) // 1000)

    def _unanswered(self, sent: Sent) -> None:
        if sent.prediction:
            self._tally.unanswered.append(sent.prediction)

    def _end(self, why: str) -> None:
        """There is no connection from now on, and this is why what is still to be sent is not."""
        self._ended = True
        for kind, _, intended_ns in self._due:
            self._drop(kind, intended_ns, why)
        self._due.clear()
        for sent in self._outstanding.values():
            self._undone.append((_quantity(sent.kind), sent.intended_ns))
            self._unanswered(sent)
        self._tally.outstanding -= len(self._outstanding)
        self._outstanding.clear()


def _quantity(kind: str) -> str:
    return "prediction" if kind == _PLACE else "read"
