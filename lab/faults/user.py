"""A user of the load: stays connected as a real client would, and writes down what it is told."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from websockets.exceptions import InvalidHandshake

from bench.client import Connection, Data, Target, reason
from lab.faults.records import Acknowledged, Failed, Joined, Lost, Pushed, Record, Refused, Sent, StateLost

OPEN_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
"""How long a client waits for an answer before it takes the connection for dead."""
BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 3.0
MAX_OUTSTANDING: Final = 4
MAX_STAKE: Final = 50

_TRY_AGAIN: Final = (4290, *range(5000, 6000))
"""The errors after which the same request is sent again: the outcome is unknown, or it came too soon."""
_NOT_JOINED: Final = 4030
_PUSHES: Final = frozenset(("distribution", "pool_changed", "game_changed"))


class Setting(NamedTuple):
    """What all users of a generator share: where the game is, and how often each places a prediction."""

    target: Target
    game: str
    pool: str
    options: int
    every_s: float
    run: str
    record: Callable[[Record], None]


class _Message(Struct, frozen=True):
    """What the load looks at in a server's message."""

    type: str
    id: int | None = None
    code: int = 0
    state: str = "new"
    epoch: int = 0
    offset: int = 0
    journal_id: str = ""
    duplicate: bool = False


_decode: Final = msgspec.json.Decoder(_Message).decode


class _Waiting:
    """A prediction without an answer."""

    __slots__ = ("message", "sent_s")

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message
        self.sent_s = 0.0


class User:
    """A user, until its task is cancelled.

    A prediction that is not answered, or answered with a failure, is sent again with its key, on the next
    connection if need be, until it is acknowledged or refused.
    """

    def __init__(self, name: str, token: str, setting: Setting, seed: int) -> None:
        self._name = name
        self._token = token
        self._setting = setting
        self._random = Random(f"{seed}-{name}")  # noqa: S311 (the load has to be repeatable)
        self._waiting: dict[int, _Waiting] = {}
        self._next_id = 0
        self._connections = 0
        self._position: tuple[int, int] | None = None
        self._line: _Line | None = None
        self.placing = True
        """Whether new predictions are placed."""

    @property
    def idle(self) -> bool:
        """Whether it is connected and waits for nothing."""
        return self._line is not None and self._line.joined and not self._waiting

    async def run(self) -> None:
        """Stay connected and place predictions."""
        tasks = [asyncio.create_task(task) for task in (self._place_for_ever(), self._watch())]
        try:
            await self._stay_connected()
        finally:
            for task in tasks:
                task.cancel()
            if self._line is not None:
                self._line.connection.close()

    async def _stay_connected(self) -> None:
        delays = self._delays()
        while True:
            self._connections += 1
            line = _Line(self, self._connections)
            line.connection = Connection(self._setting.target, self._token, line)
            try:
                await line.connection.open(OPEN_TIMEOUT_S)
            except (OSError, InvalidHandshake) as error:
                self._setting.record(Failed(time.monotonic(), self._name, reason(error)))
            else:
                self._line = line
                line.join()
                code = await line.ended
                self._line = None
                if line.joined:
                    self._setting.record(Lost(time.monotonic(), self._name, line.number, code))
                    delays = self._delays()
            await asyncio.sleep(next(delays))

    async def _place_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * self._setting.every_s)
            if self.placing and self._line and self._line.joined and len(self._waiting) < MAX_OUTSTANDING:
                self._place(self._line)

    async def _watch(self) -> None:
        """Give up a connection on which nothing is answered."""
        while True:
            await asyncio.sleep(ANSWER_TIMEOUT_S / 10)
            line, now_s = self._line, time.monotonic()
            if line is None:
                continue
            asked_s = [waiting.sent_s for waiting in self._waiting.values() if waiting.sent_s > line.opened_s]
            if not line.joined:
                asked_s.append(line.asked_s)
            if asked_s and min(asked_s) < now_s - ANSWER_TIMEOUT_S:
                line.connection.abort()

    def _place(self, line: _Line) -> None:
        setting, number = self._setting, self._next_id
        self._next_id = number + 1
        key = f"{setting.run}-{number}"
        option, stake = self._random.randrange(setting.options), self._random.randint(1, MAX_STAKE)
        self._waiting[number] = _Waiting(
            {
                "type": "place_prediction",
                "id": number,
                "game": setting.game,
                "pool": setting.pool,
                "option": option,
                "stake": stake,
                "key": key,
            }
        )
        setting.record(Sent(time.monotonic(), self._name, key, setting.pool, option, stake))
        self._send(line, number)

    def _send(self, line: _Line, number: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and line.connection.is_open:
            waiting.sent_s = time.monotonic()
            line.send(waiting.message)

    def joined(self, line: _Line, message: _Message) -> None:
        """The connection is of use: what waits is sent again."""
        if self._position is None or message.state != "recovered":
            self._position = (message.epoch, message.offset)
        self._setting.record(
            Joined(time.monotonic(), self._name, line.number, message.state, message.epoch, message.offset)
        )
        for number in list(self._waiting):
            self._send(line, number)

    def answered(self, line: _Line, message: _Message) -> None:
        """An answer to a prediction; one that was answered before changes nothing."""
        waiting = self._waiting.get(message.id) if message.id is not None else None
        if waiting is None or message.id is None:
            return
        now_s, key = time.monotonic(), waiting.message["key"]
        if message.type == "placed":
            del self._waiting[message.id]
            self._setting.record(
                Acknowledged(
                    now_s,
                    self._name,
                    key,
                    waiting.sent_s,
                    message.epoch,
                    message.journal_id,
                    message.duplicate,
                )
            )
        elif message.code in _TRY_AGAIN:
            delay_s = self._random.uniform(0.5, 1) * BACKOFF_MIN_S * 2
            asyncio.get_running_loop().call_later(delay_s, self._repeat, line, message.id)
        elif message.code == _NOT_JOINED:
            line.connection.abort()
        else:
            del self._waiting[message.id]
            self._setting.record(Refused(now_s, self._name, key, message.code))

    def pushed(self, line: _Line, message: _Message, text: bytes) -> None:
        """A push of the game."""
        place = self._position = (message.epoch, message.offset)
        content = hashlib.sha256(text).hexdigest()[:16]
        self._setting.record(Pushed(time.monotonic(), self._name, line.number, *place, content))

    def lost(self, line: _Line, message: _Message) -> None:
        """The server has lost pushes, and says where the game stands."""
        place = self._position = (message.epoch, message.offset)
        self._setting.record(StateLost(time.monotonic(), self._name, line.number, *place))

    def backoff(self) -> float:
        """The shortest delay before something is tried again (s), with jitter."""
        return self._random.uniform(0.5, 1) * BACKOFF_MIN_S

    def joining(self) -> dict[str, Any]:
        """The request to join the game, without its id; a user who was there says what it has."""
        request: dict[str, Any] = {"type": "join_game", "game": self._setting.game}
        if self._position is not None:
            request["since"] = {"epoch": self._position[0], "offset": self._position[1]}
        return request

    def _repeat(self, line: _Line, number: int) -> None:
        if line is self._line:
            self._send(line, number)

    def _delays(self) -> Iterator[float]:
        """How long to wait before the next attempt to connect (s): longer each time, with jitter."""
        bound_s = BACKOFF_MIN_S
        while True:
            yield self._random.uniform(0.5, 1) * bound_s
            bound_s = min(bound_s * 2, BACKOFF_MAX_S)


class _Line:
    """One connection of a user."""

    _JOIN: Final = 2**52
    """The id of the request to join, which no prediction has."""

    def __init__(self, user: User, number: int) -> None:
        self.number = number
        self.connection: Connection
        self.joined = False
        self.opened_s = self.asked_s = time.monotonic()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._user = user

    def join(self) -> None:
        """Ask for the game's distributions."""
        if self.connection.is_open:
            self.send({**self._user.joining(), "id": self._JOIN})

    def send(self, message: dict[str, Any]) -> None:
        """Send a request."""
        self.connection.send(msgspec.json.encode(message))

    def opened(self, now_ns: int) -> None:
        """See `bench.client.Listener`."""
        self.opened_s = self.asked_s = now_ns / 1e9

    def message(self, data: Data, now_ns: int) -> None:
        """See `bench.client.Listener`."""
        message = _decode(data)
        if message.type in _PUSHES:
            self._user.pushed(self, message, bytes(data))
        elif message.type == "state_lost":
            self._user.lost(self, message)
        elif message.id != self._JOIN:
            self._user.answered(self, message)
        elif message.type == "joined":
            self.joined = True
            self._user.joined(self, message)
        else:
            asyncio.get_running_loop().call_later(self._user.backoff(), self.join)

    def closed(self, code: int) -> None:
        """See `bench.client.Listener`."""
        if not self.ended.done():
            self.ended.set_result(code)
