"""The store that never waits: one round trip to the nearest Redis to read, one to the master to write."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from market import calls, scripts
from market.origins import current, enter
from market.protocol import PlacePrediction
from market.redis_link import CommandLink
from market.settings import Settings, read_secret
from market.standby_link import master_link
from market.store import Call, Done, Receipt

_log = logging.getLogger(__name__)

T = TypeVar("T")


class LiveStore:
    """See `market.store.Store`."""

    def __init__(self, settings: Settings) -> None:
        self._flush_interval_ms = settings.flush_interval_ms
        read = settings.redis_read
        self._master = master_link(settings, (scripts.PLACE, scripts.FLUSH))
        self._read = CommandLink("redis-read", read, read_secret(read.password_file), (scripts.POOLS,))

    async def start(self) -> None:
        """See `Store.start`."""
        self._master.start()
        self._read.start()

    async def stop(self) -> None:
        """See `Store.stop`."""
        await self._master.stop()
        await self._read.stop()

    def problem(self) -> str | None:
        """See `Store.problem`."""
        return self._master.problem() or self._read.problem()

    def nearest(self, call: Call[T], done: Done[T]) -> None:
        """See `Store.nearest`."""
        _submit(self._read, call, done)

    def master(self, call: Call[T], done: Done[T]) -> None:
        """See `Store.master`."""
        _submit(self._master, call, done)

    def place(self, user: str, request: PlacePrediction, done: Done[Receipt]) -> None:
        """See `Store.place`."""
        self.master(calls.place(user, request, self._flush_interval_ms), done)


def _submit(link: CommandLink, call: Call[T], done: Done[T]) -> None:
    origin = current()
    span = None
    if origin is not None and origin.span is not None:
        span = origin.span.child(str(call.command[0]) if call.script is None else call.script.name)

    def replied(reply: Any) -> None:
        if span is not None:
            failed = type(reply).__name__ if isinstance(reply, Exception) else None
            span.end(failed, is_fault=failed is not None)
        before = enter(origin)
        try:
            done(call.read(reply))
        except Exception:
            _log.exception("the handling of a reply of %s failed", link.name)
        finally:
            enter(before)

    if call.script is None:
        link.submit(call.command, replied)
    else:
        link.evaluate(call.script, call.command, replied)
