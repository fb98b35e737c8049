"""The lines between the coordinator and a load worker: JSON, one message per line.

A worker says `ready`, is told when to `start`, reports its `progress` once a second and says `done` when its
outcome is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct


class Ready(Struct, frozen=True, tag_field="event", tag="ready"):
    """The worker waits for the start."""


class Progress(Struct, frozen=True, tag_field="event", tag="progress"):
    """Where a worker is, or several are together.

    Args:
        phase: `ramp`, `load` or `drain`.
        at_s: time since the start (s), negative before it.
        users: how many there are to be.
        connected: how many are connected now.
        failed: how many could not connect.
        lost: how many were disconnected.
        requests: replies so far.
        broadcasts: broadcasts received so far.
        errors: errors so far.
        outstanding: requests without an answer now.
        lag_ms: the generator's worst lag of the last second.
    """

    phase: str
    at_s: float
    users: int
    connected: int
    failed: int
    lost: int
    requests: int
    broadcasts: int
    errors: int
    outstanding: int
    lag_ms: float


class Done(Struct, frozen=True, tag_field="event", tag="done"):
    """The outcome is written."""


class Start(Struct, frozen=True, forbid_unknown_fields=True):
    """When all workers start, in seconds since 1970."""

    start_at_s: float


Event = Ready | Progress | Done

decode_event: Final[Callable[[bytes], Event]] = msgspec.json.Decoder(Event).decode
decode_start: Final[Callable[[bytes], Start]] = msgspec.json.Decoder(Start).decode


def line(message: Event | Start) -> bytes:
    """A message as its line."""
    return msgspec.json.encode(message) + b"\n"
