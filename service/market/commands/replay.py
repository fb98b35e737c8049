"""A recorded match, told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Final

import typer

from market import replay as replaying
from market.commands import SettingsFile, loaded
from market.protocol import Event
from market.tokens import FEED, signer_of

_log = logging.getLogger(__name__)

TOKEN_SPARE_S: Final = 300
"""How much longer than a replay its token holds (s)."""


def replay(
    settings: SettingsFile,
    feed: Annotated[str, typer.Option(help="ws://HOST:PORT/ws, or the path of the feed's Unix socket.")],
    recording: Annotated[
        Path | None, typer.Argument(help="Events as lines of JSON; a match of our own by default.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="60: a minute in a second; inf: at once.")] = 1.0,
    game: Annotated[str | None, typer.Option(help="The game to tell it of; the recorded one.")] = None,
) -> None:
    """Tell a recorded match to a feed."""
    signer = signer_of(loaded("replay", settings))
    events = replaying.read(recording)
    lasts_s = replaying.offsets_s(events, speed)[-1]
    token = signer.issue("replay", int(lasts_s) + TOKEN_SPARE_S, scopes=[FEED])

    def told(event: Event, new: bool) -> None:
        _log.info("%s %s%s", event.id, event.kind, "" if new else " (known already)")

    replaying.replay(events, feed, token, speed=speed, game=game, told=told)
