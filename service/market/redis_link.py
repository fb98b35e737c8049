"""Connections to Redis for the event loop, which come back by themselves.

A `CommandLink` sends what was submitted during one turn of the event loop in one write and hands each reply
to its callback, in order. It does not queue while it is not connected: what cannot be sent fails at once,
what was sent and not answered fails when the connection does. Subscriptions are in `market.channel_link`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import hiredis

from market import epoch_guard
from market.redis_server import Server
from market.scripts import Command, Script
from market.sentinels import find_master
from market.settings import RedisEndpoint
from market.store import ReplyError, UnavailableError

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5.0
"""How long it may take to find a server and to reach it."""
BACKOFF_MIN_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0
WATCH_S: Final = 1.0
STALLED_AFTER: Final = 6
"""Turns of the watch without any reply after which a connection that owes some is given up.

Turns are counted instead of seconds, so that an event loop that was held up has read its sockets in between.
"""
RECHECK_S: Final = 5.0
"""How often the Sentinels are asked whether the master that a link is connected to still is the one."""
SUSPECT_AFTER: Final = 2
"""Turns of the watch without any reply after which they are asked at every turn."""
MAX_WAITING: Final = 20_000
"""Commands that may wait for their replies; more fail at once."""

_NOTHING: Final = object()

Callback = Callable[[Any], None]
"""Gets the reply, or an exception: `ReplyError` or `UnavailableError`."""


class _Wire(asyncio.Protocol):
    """One connection of a link, from its making to its loss."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link._made(self, cast(asyncio.WriteTransport, transport))

    def data_received(self, data: bytes) -> None:
        self._link._received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link._ended(self, str(exc) if exc else "the server closed the connection")


class Link:
    """A link to one Redis server: connects, authenticates, watches, reconnects after a jittered delay.

    To an endpoint that names Sentinels it connects where they say, and again whenever they name another.
    """

    greet_timeout_s = CONNECT_TIMEOUT_S
    """How long may pass from there until the link is ready."""

    def __init__(self, name: str, endpoint: RedisEndpoint, password: str) -> None:
        self.name = name
        self._endpoint = endpoint
        self._password = password
        self._wire: _Wire | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._reader = self._new_reader()
        self._waiting: deque[Callback] = deque()
        self._out: list[bytes] = []
        self._ready = False
        self._last_error = "not connected yet"
        self._task: asyncio.Task[None] | None = None
        self._replies = 0
        self._replies_watched = 0
        self._silent_turns = 0
        self._server: Server | None = None

    def start(self) -> None:
        """Begin to connect, and go on until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        """Close the connection; what waits fails."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._drop("stopped")

    def problem(self) -> str | None:
        """Why the server cannot be asked at present, None when it can."""
        return None if self._ready else f"{self.name}: {self._last_error}"

    @property
    def waiting(self) -> int:
        """How many commands wait for their replies."""
        return len(self._waiting)

    async def _greet(self) -> None:
        """What has to be said before the link is ready; AUTH comes first."""
        raise NotImplementedError

    async def _run(self) -> None:
        delay_s = BACKOFF_MIN_S
        while True:
            try:
                # Not `wait_for`: in Python 3.11 it loses a cancellation that comes as what it waits for ends.
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._connect()
                async with asyncio.timeout(self.greet_timeout_s):
                    await self._greet()
                self._ready = not self._lost.done()
                delay_s = BACKOFF_MIN_S
                _log.info("connected to %s", self.name)
                await self._watch()
            except TimeoutError:
                self._drop("no answer in time")
            except (OSError, ReplyError, UnavailableError) as error:
                self._drop(str(error))
            _log.warning("%s is unavailable: %s", self.name, self._last_error)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    async def _connect(self) -> None:
        self._reader = self._new_reader()
        self._silent_turns = 0
        self._lost = self._loop.create_future()
        self._server = await self._find()
        await self._loop.create_connection(lambda: _Wire(self), *self._server)

    async def _find(self) -> Server:
        if not self._endpoint.sentinels:
            return self._endpoint.host, self._endpoint.port
        return await asyncio.to_thread(find_master, self._endpoint)

    async def _watch(self) -> None:
        """Until the connection is lost: give up one that is silent or to the wrong server, keep it in use."""
        recheck_at = self._loop.time() + RECHECK_S
        while not self._lost.done():
            await asyncio.wait((self._lost,), timeout=WATCH_S)
            if self._replies != self._replies_watched:
                self._silent_turns = 0
            elif self._waiting:
                self._silent_turns += 1
            self._replies_watched = self._replies
            if self._silent_turns >= STALLED_AFTER:
                raise UnavailableError(f"no reply for {STALLED_AFTER * WATCH_S:g} s")
            if not self._waiting and self._transport is not None:
                self._send(("PING",), _ignore)
            suspect = self._silent_turns >= SUSPECT_AFTER
            if self._endpoint.sentinels and (suspect or self._loop.time() >= recheck_at):
                await self._check_sentinels()
                recheck_at = self._loop.time() + RECHECK_S

    async def _check_sentinels(self) -> None:
        try:
            found = await self._find()
        except UnavailableError as error:
            _log.warning("%s: %s", self.name, error)
            return
        if found != self._server:
            raise UnavailableError("the sentinels name another master")

    async def _check_role(self) -> None:
        """See that the server is a master; what the Sentinels say may be a moment old."""
        if (await self._ask("ROLE"))[0] != b"master":
            raise UnavailableError("the server is no master")

    def _ask(self, *command: str | int | bytes) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self._loop.create_future()

        def done(reply: Any) -> None:
            if answer.done():
                return
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

        if self._transport is None:
            answer.set_exception(UnavailableError(self._last_error))
        else:
            self._send(command, done)
        return answer

    def _send(self, command: Command, done: Callback) -> None:
        """Queue a command for the one write at the end of this turn of the event loop."""
        self._waiting.append(done)
        self._write(command)

    def _write(self, command: Command) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub allows one element

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def _drop(self, reason: str) -> None:
        """Let go of the connection and fail all that waits for it."""
        self._ready = False
        self._last_error = reason
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()
        self._wire = self._transport = None
        waiting, self._waiting = self._waiting, deque()
        error = UnavailableError(f"{self.name}: {reason}")
        for done in waiting:
            self._call(done, error)
        if not self._lost.done():
            self._lost.set_result(None)

    def _on_reply(self, reply: Any) -> None:
        self._call(self._waiting.popleft(), reply)

    def _call(self, done: Callback, reply: Any) -> None:
        try:
            done(reply)
        except Exception:
            _log.exception("the handling of a reply of %s failed", self.name)

    @staticmethod
    def _new_reader() -> hiredis.Reader:
        return hiredis.Reader(replyError=ReplyError, notEnoughData=_NOTHING)

    def _made(self, wire: _Wire, transport: asyncio.WriteTransport) -> None:
        self._wire = wire
        self._transport = transport

    def _received(self, wire: _Wire, data: bytes) -> None:
        if wire is not self._wire:
            return
        self._reader.feed(data)
        try:
            while wire is self._wire and (reply := self._reader.gets()) is not _NOTHING:
                self._replies += 1
                self._on_reply(reply)
        except (hiredis.ProtocolError, IndexError):
            self._drop("it does not speak Redis's protocol")

    def _ended(self, wire: _Wire, reason: str) -> None:
        if wire is self._wire:
            self._drop(reason)


class CommandLink(Link):
    """Commands and their replies; `scripts` are loaded whenever the link connects.

    One that `writes` is ready only after the server's epoch is guarded.
    """

    def __init__(
        self,
        name: str,
        endpoint: RedisEndpoint,
        password: str,
        scripts: Iterable[Script] = (),
        *,
        writes: bool = False,
    ) -> None:
        super().__init__(name, endpoint, password)
        self._scripts = tuple(scripts)
        self._writes = writes

    def submit(self, command: Command, done: Callback) -> None:
        """Send a command; `done` gets the reply, `ReplyError` or `UnavailableError`, after this returns."""
        if not self._ready:
            self._loop.call_soon(self._call, done, UnavailableError(f"{self.name}: {self._last_error}"))
        elif len(self._waiting) >= MAX_WAITING:
            self._loop.call_soon(self._call, done, UnavailableError(f"{self.name}: too many commands wait"))
        else:
            self._send(command, done)

    def evaluate(self, script: Script, command: Command, done: Callback) -> None:
        """`submit` an EVALSHA; a server that does not know the script gets it, and the command again."""

        def answered(reply: Any) -> None:
            if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
                self.submit(("SCRIPT", "LOAD", script.text), _ignore)
                self.submit(command, done)
            else:
                done(reply)

        self.submit(command, answered)

    async def _greet(self) -> None:
        # All at once, since each round trip from a far region takes up to 0.31 s; a replica refuses to write.
        authenticated = self._ask("AUTH", self._endpoint.user, self._password)
        loaded = [self._ask("SCRIPT", "LOAD", script.text) for script in self._scripts]
        checks = [self._check_role()] if self._writes or self._endpoint.sentinels else []
        guards = [self._guard_epoch()] if self._writes else []
        await asyncio.gather(authenticated, *checks, *guards, *loaded)

    async def _guard_epoch(self) -> None:
        epoch_guard.read(await self._ask(*epoch_guard.COMMAND))

    def _on_reply(self, reply: Any) -> None:
        super()._on_reply(reply)
        if self._writes and isinstance(reply, ReplyError) and str(reply).startswith("READONLY"):
            self._drop("the server is no master any more")


def _ignore(_: Any) -> None:
    pass
