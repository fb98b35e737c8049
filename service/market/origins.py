"""Whose request is being worked on, so that log lines and traces can say so.

A request is worked on in turns: when it comes, and with each reply of the data that it waits for. Whatever
waits takes the present origin along and enters it again. It is kept by thread, and not in a context variable:
timers that are shared by all would keep that of the request which happened to start them.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from market.addresses import is_proxied

HEADER: Final = "X-Request-Id"
"""Set by nginx, whatever the client sent; names a WebSocket's connection or an HTTP request."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")

P = ParamSpec("P")
T = TypeVar("T")


class Named(Protocol):
    """What requests come by."""

    @property
    def name(self) -> str:
        """What it is called in logs."""


class Span(Protocol):
    """A part of a trace; see `tracing`."""

    def child(self, name: str) -> Span:
        """Begin a part of this one."""

    def end(self, failure: str | None = None, *, is_fault: bool = False) -> None:
        """End it, with what went wrong, and whether that is a fault of ours."""


class Origin:
    """One request: what it came by, its number there, None over HTTP, and its span when it is traced."""

    __slots__ = ("connection", "request", "span")

    def __init__(self, connection: Named, request: int | None = None, span: Span | None = None) -> None:
        self.connection = connection
        self.request = request
        self.span = span

    def fields(self) -> dict[str, str | int]:
        """What a log line has of it."""
        found: dict[str, str | int] = {"connection": self.connection.name}
        if self.request is not None:
            found["request"] = self.request
        return found


class _Current(threading.local):
    origin: Origin | None = None


_current: Final = _Current()


def current() -> Origin | None:
    """The request that this thread works on."""
    return _current.origin


def enter(origin: Origin | None) -> Origin | None:
    """Work on a request from now on; what was worked on before, to be entered again."""
    before, _current.origin = _current.origin, origin
    return before


def within(origin: Origin | None, do: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call something as a part of a request."""
    before = enter(origin)
    try:
        return do(*arguments, **named)
    finally:
        enter(before)


def carried(do: Callable[[Any], None]) -> Callable[[Any], None]:
    """A callback that is a part of the present request whenever it is called."""
    origin = current()
    return do if origin is None else lambda result: within(origin, do, result)


def told_name(transport: asyncio.BaseTransport | None, told: Sequence[str]) -> str | None:
    """The name that the proxy gave, None when it is no proxy that speaks or the name is none.

    Args:
        transport: the connection, which is believed on a unix socket only.
        told: the values of the request's headers named `HEADER`.
    """
    if len(told) != 1 or not is_proxied(transport) or not _NAME.fullmatch(told[0]):
        return None
    return told[0]


def new_name() -> str:
    """A name as nginx makes them."""
    return secrets.token_hex(16)
