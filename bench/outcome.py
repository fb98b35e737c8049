"""What one load worker measured, as it writes it at the end."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct, field

from bench.errors import WorkerError
from bench.histogram import HistogramState

Prediction = tuple[str, str, str, int, int]
"""A prediction that was sent: user, idempotency key, pool, option, stake (minor units)."""


class Reception(Struct, frozen=True, array_like=True):
    """How one broadcast reached a worker's users; times in microseconds since 1970."""

    pool: str
    epoch: int
    offset: int
    published_us: int
    first_us: int
    last_us: int
    receivers: int


class Position(Struct, frozen=True, array_like=True):
    """How many of the users who stayed to the end had this as the last broadcast of a pool.

    Users who joined and received none are counted with epoch and offset 0.
    """

    pool: str
    epoch: int
    offset: int
    users: int


class Outcome(Struct, frozen=True):
    """All that one worker measured.

    Args:
        region: the worker's.
        users: how many it was asked for.
        connected: how many had a connection opened.
        failed: how many never had, within the handshake timeout.
        lost: how many were disconnected before the end.
        requests: replies received, whatever they said.
        received: broadcasts received, over all users.
        missed: offsets that were skipped, over all users and pools.
        duplicate: broadcasts at or below an offset that the user had had.
        latency: by quantity of `bench.result.LATENCIES`.
        lag: how late the generator itself was at each action.
        errors: by code.
        receptions: each broadcast that any of the users received.
        positions: where the users were who stayed.
        started_us: the start, since 1970.
        settled_us: when the last of the users joined the game, since 1970; 0 when none did.
        ended_us: the last moment at which predictions were placed, since 1970.
        acknowledged: the predictions that were answered with a receipt.
        unanswered: the predictions that were sent and whose outcome the user does not know.
        complete: whether it ran to the end; otherwise it was interrupted.
        cpu_s: the worker's own CPU time.
        due: by quantity, how many handshakes, reads and predictions fell due.
        answered: by quantity, how many of them succeeded.
        early: broadcasts that were received before they were published, by the clocks of the two.
    """

    region: str
    users: int
    connected: int
    failed: int
    lost: int
    requests: int
    received: int
    missed: int
    duplicate: int
    latency: dict[str, HistogramState]
    lag: HistogramState
    errors: dict[str, int]
    receptions: list[Reception]
    positions: list[Position]
    started_us: int
    settled_us: int
    ended_us: int
    acknowledged: list[Prediction]
    unanswered: list[Prediction]
    complete: bool
    cpu_s: float
    due: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    early: int = 0


def write(outcome: Outcome, path: Path) -> None:
    """Write an outcome so that a reader never finds half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(msgspec.json.encode(outcome))
    beside.replace(path)


def read(path: Path) -> Outcome:
    """The outcome in a file.

    Raises:
        WorkerError: when there is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError) as error:
        raise WorkerError(f"A load worker left no outcome in {path}: {error}.") from error
