"""The processes that connections come to."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Collection
from typing import Annotated, Any

import msgspec
import typer
import uvloop

from market.commands import SettingsFile, loaded
from market.connection import Connection
from market.listening import BACKLOG, listening
from market.origins import Origin
from market.protocol import Request
from market.server import Api
from market.sessions import FEED_KINDS, KINDS
from market.settings import Settings

_log = logging.getLogger(__name__)

Listen = Annotated[str, typer.Option(help="Path of a Unix socket, or HOST:PORT.")]


def api(settings: SettingsFile, listen: Listen) -> None:
    """Serve clients until SIGTERM, then send them away and end. SIGHUP: read the token keys again."""
    found = loaded("api", settings)
    _raise_limit()
    uvloop.run(_serve(found, listen, KINDS))


def feed(settings: SettingsFile, listen: Listen) -> None:
    """Take what happens in the matches, by WebSocket and HTTP, until SIGTERM."""
    found = loaded("feed", settings)
    _raise_limit()
    longer = msgspec.structs.replace(found, max_message_bytes=found.feed.max_message_bytes)
    uvloop.run(_serve(longer, listen, FEED_KINDS))


async def _serve(settings: Settings, where: str, kinds: Collection[type[Request]]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = Api(settings, kinds)
    loop.add_signal_handler(signal.SIGHUP, service.admission.reload_keys)
    await service.start()
    with listening(where) as listener:
        if listener.family == socket.AF_UNIX:
            server = await loop.create_unix_server(
                lambda: Connection(service), sock=listener, backlog=BACKLOG
            )
        else:
            server = await loop.create_server(lambda: Connection(service), sock=listener, backlog=BACKLOG)
        _log.info("listening at %s", where)
        await stop.wait()
        _log.info("draining")
        server.close()
        await service.drain()


def _raise_limit() -> None:
    """May open as many descriptors as the system lets it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    protocol = context.get("protocol")
    about = {"origin": Origin(protocol)} if isinstance(protocol, Connection) else None
    _log.error("%s", context.get("message"), exc_info=context.get("exception"), extra=about)
