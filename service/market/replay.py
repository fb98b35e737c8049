"""Tells a recorded match to a feed, at any speed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from market.protocol import SUBPROTOCOL, Accepted, Error, ErrorCode, Event, SubmitEvent, decode_server, encode
from market.settings import MarketError

_log = logging.getLogger(__name__)

ANSWER_S: Final = 10.0
PATIENCE_S: Final = 30.0
"""How long a feed may stay away before the replay gives up."""
PAUSE_S: Final = 0.5

_RETRIED: Final = frozenset(
    (ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL, ErrorCode.JOURNAL_FULL, ErrorCode.TOO_MANY_REQUESTS)
)
_decode: Final = msgspec.json.Decoder(Event).decode


class ReplayError(MarketError):
    """The recording cannot be read, or the feed does not take it."""


def read(path: Path | None) -> list[Event]:
    """The events of a recording, one JSON object per line; None for the match that comes with the service.

    Raises:
        ReplayError: when it cannot be read or holds no event; the message says which line is wrong.
    """
    try:
        if path is None:
            text = resources.files("market").joinpath("matches/final.jsonl").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f"cannot read the recording {path}: {error}") from error
    events = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                events.append(_decode(line))
            except msgspec.DecodeError as error:
                raise ReplayError(f"{path}, line {number}: {error}") from error
    if not events:
        raise ReplayError(f"the recording {path} holds no event")
    return sorted(events, key=lambda event: (event.at_ms, event.sequence))


def offsets_s(events: Sequence[Event], speed: float) -> list[float]:
    """When each event is told, counted from the first one."""
    return [(event.at_ms - events[0].at_ms) / 1000 / speed for event in events]


def replay(
    events: Sequence[Event],
    where: str,
    token: str,
    *,
    speed: float = 1.0,
    game: str | None = None,
    told: Callable[[Event, bool], None] = lambda _, __: None,
) -> int:
    """Tell events at their recorded distances, divided by `speed`; how many were new to the feed.

    Args:
        events: the recording.
        where: the feed, as `ws://HOST:PORT/ws`, or the path of its Unix socket.
        token: one with the scope `feed`.
        speed: 1 for as it was, 60 for a minute in a second, infinite for at once.
        game: the game to tell it of, instead of the recorded one.
        told: gets each event, and whether it was new.

    Raises:
        ReplayError: when the feed refuses an event, or stays away.
    """
    present = [msgspec.structs.replace(event, game=game or event.game) for event in events]
    return asyncio.run(_replay(present, offsets_s(events, speed), where, token, told))


async def _replay(
    events: Sequence[Event],
    offsets_s: Sequence[float],
    where: str,
    token: str,
    told: Callable[[Event, bool], None],
) -> int:
    begun_s = time.monotonic()
    new = 0
    async with contextlib.AsyncExitStack() as stack:
        socket: ClientConnection | None = None
        for number, (event, offset_s) in enumerate(zip(events, offsets_s, strict=True)):
            await asyncio.sleep(max(0.0, begun_s + offset_s - time.monotonic()))
            present = msgspec.structs.replace(event, at_ms=int(time.time() * 1000))
            socket, accepted = await _tell(stack, socket, where, token, SubmitEvent(number, present))
            new += not accepted.duplicate
            told(present, not accepted.duplicate)
    return new


async def _tell(
    stack: contextlib.AsyncExitStack,
    socket: ClientConnection | None,
    where: str,
    token: str,
    request: SubmitEvent,
) -> tuple[ClientConnection, Accepted]:
    """Tell one event, if need be over a new connection; the id of an event makes that safe."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            if socket is None:
                socket = await stack.enter_async_context(_connection(where, token))
            await socket.send(encode(request).decode())
            async with asyncio.timeout(ANSWER_S):
                answer: Any = decode_server(await socket.recv())
        except InvalidStatus as error:
            if error.response.status_code < 500:
                raise ReplayError(f"the feed refuses the connection: {error}") from error
            failure = str(error)
        except (OSError, WebSocketException) as error:
            failure = str(error) or type(error).__name__
        else:
            if isinstance(answer, Accepted):
                return socket, answer
            if not isinstance(answer, Error) or answer.code not in _RETRIED:
                message = answer.message if isinstance(answer, Error) else "it answers something else"
                raise ReplayError(f"the feed refuses the event {request.event.id}: {message}")
            failure = answer.message
        if time.monotonic() > deadline_s:
            raise ReplayError(f"the feed {where} stays away: {failure}")
        _log.warning("the feed does not take the event %s yet: %s", request.event.id, failure)
        if socket is not None:
            await stack.pop_all().aclose()
            socket = None
        await asyncio.sleep(PAUSE_S)


@contextlib.asynccontextmanager
async def _connection(where: str, token: str) -> AsyncIterator[ClientConnection]:
    options: dict[str, Any] = {
        "subprotocols": [Subprotocol(SUBPROTOCOL)],
        "additional_headers": {"Authorization": f"Bearer {token}"},
        "compression": None,
        "open_timeout": ANSWER_S,
    }
    if "://" in where:
        async with connect(where, **options) as socket:
            yield socket
    else:
        async with unix_connect(where, "ws://market/ws", **options) as socket:
            yield socket
