"""How each request is answered, whatever brought it: a WebSocket message or an HTTP request.

A handler takes what the process shares, who asks, the request and where the reply goes. It returns at once
and calls `done` exactly once. What belongs to a connection (authenticate, join, leave) is the session's.
"""

from __future__ import annotations

from typing import Final

from market.handlers import channels, games
from market.handlers.kinds import Handler
from market.protocol import Request

HANDLERS: Final[dict[type[Request], Handler]] = {**games.HANDLERS, **channels.HANDLERS}
"""The handler of each kind of request."""

__all__ = ["HANDLERS", "Handler"]
