"""The link to a master whose answers count only when the standbys have what they say."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Collection, Iterable
from typing import Any, Final

from market.acknowledgement import (
    LIMIT_S,
    WAIT_AGAIN_MS,
    WAIT_MS,
    NotAcknowledgedError,
    Replicas,
    Standbys,
    read_role,
)
from market.redis_link import MAX_WAITING, Callback, CommandLink
from market.redis_server import Server
from market.scripts import Command, Script
from market.sentinels import find_down
from market.settings import RedisEndpoint, Settings, read_secret
from market.store import ReplyError, UnavailableError

MAX_ROUNDS: Final = 64
"""Batches that may wait for the standbys each by itself; what comes then shares the next round."""
GREET_TIMEOUT_S: Final = 12.0
"""While a standby is down the link is ready after some 10 round trips, of up to 0.31 s; a Sentinel that does
not answer is waited for, for 1 s, only when the others disagree."""
GREET_LIMIT_S: Final = GREET_TIMEOUT_S / 2
"""How long after its beginning a standby may be missed; the Sentinels are asked once more at most."""
NOBODY: Final[Server] = ("", 0)
"""The master while there is no connection to one."""
CONSULT_S: Final = 0.5
"""How often the Sentinels are asked which standbys are down, while one is late or down."""


class _Batch:
    """The commands of one turn of the event loop, and the answers that are held back."""

    __slots__ = ("held", "offset", "since_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.held: list[tuple[Callback, Any]] = []
        self.offset: int | None = None
        """Of the master after the last of the commands, None until it has said so."""


class StandbyLink(CommandLink):
    """A `CommandLink` that hands over each reply only when the standbys have all that came before it.

    That holds for every reply: of a repeated key and of a refusal too, since both speak of what was written
    before. A WAIT holds up what comes after it on its connection, so that it is short: what was not
    acknowledged by then is asked for again, in one round for all, until `LIMIT_S` have passed or no standby
    is left. Then the link lets go of the master, and all that is held fails: its outcome is unknown.
    """

    greet_timeout_s = GREET_TIMEOUT_S

    def __init__(
        self,
        name: str,
        endpoint: RedisEndpoint,
        password: str,
        scripts: Iterable[Script] = (),
        *,
        standbys: Collection[str],
    ) -> None:
        super().__init__(name, endpoint, password, scripts, writes=True)
        self._addresses = standbys
        self._standbys = Standbys(standbys, NOBODY)
        self._consulting: asyncio.Task[None] | None = None
        self._consulted_s = 0.0
        self._unconfirmed: deque[_Batch] = deque()
        self._open: _Batch | None = None
        self._rounds = 0
        self._again = False
        self._held = 0

    def submit(self, command: Command, done: Callback) -> None:
        """See `CommandLink.submit`."""
        if not self._ready or len(self._waiting) + self._held >= MAX_WAITING:
            super().submit(command, done)
            return
        batch = self._open
        if batch is None:
            batch = self._open = _Batch(self._loop.time())
            self._unconfirmed.append(batch)

        def answered(reply: Any) -> None:
            if isinstance(reply, UnavailableError):
                done(reply)
            else:
                batch.held.append((done, reply))
                self._held += 1

        self._send(command, answered)

    async def _greet(self) -> None:
        assert self._server is not None  # noqa: S101 - the link is connected
        self._standbys = Standbys(self._addresses, self._server)
        # Beside the rest: it is needed after a failover, when the master of before is a standby that is down.
        down = self._loop.create_task(self._ask_down())
        down.add_done_callback(_retrieve)
        try:
            await super()._greet()
            await self._await_standbys(down)
        finally:
            down.cancel()

    async def _await_standbys(self, down: asyncio.Task[frozenset[Server]]) -> None:
        """Until the standbys have what the master has; `down` are those that need not, asked for already."""
        asked: Awaitable[frozenset[Server]] | None = down
        offset = read_role(await self._ask("ROLE")).offset
        give_up_s = self._loop.time() + GREET_LIMIT_S
        while True:
            waited = self._ask("WAIT", self._standbys.expected, WAIT_AGAIN_MS)
            _, role = await asyncio.gather(waited, self._ask("ROLE"))
            self._standbys.see(read_role(role), offset, self._loop.time())
            if self._standbys.acknowledged >= offset:
                return
            if self._loop.time() >= give_up_s:
                raise NotAcknowledgedError(f"the standbys have not acknowledged for {GREET_LIMIT_S:g} s")
            self._standbys.excuse(await (asked or self._ask_down()), self._loop.time())
            asked = None

    async def stop(self) -> None:
        """See `Link.stop`."""
        if self._consulting is not None:
            self._consulting.cancel()
        await super().stop()

    async def _ask_down(self) -> frozenset[Server]:
        return await asyncio.to_thread(find_down, self._endpoint, self._standbys.master)

    async def _consult(self, standbys: Standbys) -> None:
        """Learn which standbys are down and need not be waited for."""
        try:
            standbys.excuse(await self._ask_down(), self._loop.time())
        except UnavailableError as error:
            if standbys is self._standbys:
                self._drop(str(error))
            return
        if standbys is self._standbys and standbys.deserted:
            self._drop("no standby is left")

    def _flush(self) -> None:
        if self._open is not None and self._rounds < MAX_ROUNDS:
            self._seal(self._open)
        super()._flush()

    def _seal(self, batch: _Batch) -> None:
        """Ask whether the standbys have what the batch and all before it wrote."""
        self._open = None
        self._rounds += 1

        def sent(reply: Any) -> None:
            if (role := self._role(reply)) is not None:
                batch.offset = role.offset

        def seen(reply: Any) -> None:
            self._rounds -= 1
            self._see(batch, reply)
            if self._open is not None and self._rounds < MAX_ROUNDS:
                self._seal(self._open)

        self._send(("ROLE",), sent)
        self._send(("WAIT", self._standbys.expected, WAIT_MS), self._waited)
        self._send(("ROLE",), seen)

    def _ask_again(self, batch: _Batch) -> None:
        self._again = True

        def seen(reply: Any) -> None:
            self._again = False
            self._see(batch, reply)

        self._send(("WAIT", self._standbys.expected, WAIT_AGAIN_MS), self._waited)
        self._send(("ROLE",), seen)

    def _see(self, batch: _Batch, reply: Any) -> None:
        """Hand over what the standbys have; ask again for the oldest of the rest."""
        role = self._role(reply)
        if role is None or batch.offset is None:
            return
        self._standbys.see(role, batch.offset, self._loop.time())
        reached = self._standbys.acknowledged
        while self._unconfirmed and _within(self._unconfirmed[0], reached):
            for done, held in self._unconfirmed.popleft().held:
                self._held -= 1
                self._call(done, held)
        late = reached < batch.offset
        if (late or self._standbys.excused) and self._loop.time() - self._consulted_s >= CONSULT_S:
            self._consulted_s = self._loop.time()
            self._consulting = self._loop.create_task(self._consult(self._standbys))
        oldest = self._unconfirmed[0] if self._unconfirmed else None
        if not late or oldest is None:
            return
        if self._loop.time() - oldest.since_s >= LIMIT_S:
            self._drop(f"the standbys have not acknowledged for {LIMIT_S:g} s")
        elif not self._again:
            self._ask_again(batch)

    def _role(self, reply: Any) -> Replicas | None:
        """What a ROLE says; a server that is no master is given up."""
        if isinstance(reply, UnavailableError):
            return None
        try:
            if isinstance(reply, ReplyError):
                raise UnavailableError(str(reply))
            return read_role(reply)
        except UnavailableError as error:
            self._drop(str(error))
            return None

    def _waited(self, reply: Any) -> None:
        if isinstance(reply, ReplyError):
            self._drop(f"the wait for the standbys ended: {reply}")

    def _drop(self, reason: str) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, deque()
        self._open = None
        # What the Sentinels are still asked about this connection says nothing of the next one.
        self._standbys = Standbys(self._addresses, NOBODY)
        super()._drop(reason)
        self._rounds = self._held = 0
        self._again = False
        error = UnavailableError(f"{self.name}: {reason}")
        for batch in unconfirmed:
            for done, _ in batch.held:
                self._call(done, error)


def _retrieve(done: asyncio.Task[frozenset[Server]]) -> None:
    """Take note of a failure that nobody may come to ask for: the event loop would report it as forgotten."""
    if not done.cancelled():
        done.exception()


def _within(batch: _Batch, reached: int) -> bool:
    return batch.offset is not None and batch.offset <= reached


def master_link(settings: Settings, scripts: Iterable[Script]) -> CommandLink:
    """The link that writes, whose replies come when the settings call a write acknowledged."""
    endpoint = settings.redis_master
    password = read_secret(endpoint.password_file)
    if settings.acknowledge == "standby":
        return StandbyLink("redis-master", endpoint, password, scripts, standbys=settings.standbys)
    return CommandLink("redis-master", endpoint, password, scripts, writes=True)
