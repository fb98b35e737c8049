"""A connection to Redis that holds subscriptions, and makes them again when it comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import hiredis

from market.redis_link import Callback, Link
from market.settings import RedisEndpoint
from market.store import UnavailableError

_log = logging.getLogger(__name__)


class ChannelLink(Link):
    """Subscriptions: `on_message(channel, payload)`; they are made again whenever the link connects.

    `on_connected()` says that it has, and that messages may have been missed before.
    """

    def __init__(
        self,
        name: str,
        endpoint: RedisEndpoint,
        password: str,
        on_message: Callable[[str, bytes], None],
        on_connected: Callable[[], None],
    ) -> None:
        super().__init__(name, endpoint, password)
        self._on_message = on_message
        self._on_connected = on_connected
        self._channels: dict[str, list[Callback]] = {}
        self._confirmed: set[str] = set()

    def subscribe(self, channel: str, done: Callback) -> None:
        """Subscribe; `done` gets None once every later message arrives, or `UnavailableError`."""
        if channel in self._confirmed:
            self._loop.call_soon(self._call, done, None)
        elif not self._ready:
            self._loop.call_soon(self._call, done, UnavailableError(f"{self.name}: {self._last_error}"))
        elif channel in self._channels:
            self._channels[channel].append(done)
        else:
            self._channels[channel] = [done]
            self._write(("SUBSCRIBE", channel))

    def unsubscribe(self, channel: str) -> None:
        """Give up a subscription."""
        if self._channels.pop(channel, None) is not None:
            self._confirmed.discard(channel)
            if self._transport is not None:
                self._write(("UNSUBSCRIBE", channel))

    async def _greet(self) -> None:
        await self._ask("HELLO", 3, "AUTH", self._endpoint.user, self._password)
        if self._endpoint.sentinels:
            await self._check_role()
        if self._channels:
            confirmed = self._loop.create_future()
            for channel, callbacks in self._channels.items():
                callbacks.append(lambda reply: self._on_confirmed(confirmed, reply))
                self._write(("SUBSCRIBE", channel))
            await confirmed
        self._on_connected()

    def _on_confirmed(self, confirmed: asyncio.Future[None], reply: Any) -> None:
        if confirmed.done():
            return
        if isinstance(reply, Exception):
            confirmed.set_exception(reply)
        elif self._confirmed.issuperset(self._channels):
            confirmed.set_result(None)

    def _drop(self, reason: str) -> None:
        self._confirmed.clear()
        error = UnavailableError(f"{self.name}: {reason}")
        for callbacks in self._channels.values():
            for done in callbacks:
                self._call(done, error)
            callbacks.clear()
        super()._drop(reason)

    def _on_reply(self, reply: Any) -> None:
        if not isinstance(reply, hiredis.PushNotification):
            super()._on_reply(reply)
        elif reply[0] == b"message":
            try:
                self._on_message(reply[1].decode(), reply[2])
            except Exception:
                _log.exception("the handling of a message on %s failed", reply[1])
        elif reply[0] == b"subscribe":
            channel = reply[1].decode()
            callbacks = self._channels.get(channel)
            if callbacks is not None:
                self._confirmed.add(channel)
                waiting = callbacks.copy()
                callbacks.clear()
                for done in waiting:
                    self._call(done, None)
