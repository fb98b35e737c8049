"""The audit log's share of a process: what it was asked and how it answered, on its way to the journal.

What changes anything is journalled with the change, by the script that makes it. The rest (reads, refusals,
failures, repeated keys) is gathered here and written in batches, many commands to one entry. Nothing is
dropped: a batch that the journal does not take is sent again, under the same number, until it does; and when
too much has gathered, the process takes no further requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from market import calls_journal, keys
from market.journal import Command
from market.protocol import (
    AddFriend,
    AskQuestion,
    CancelOrder,
    CancelPrediction,
    ClosePool,
    CreateGame,
    Deposit,
    ErrorCode,
    OpenPool,
    PlaceOrder,
    PlacePrediction,
    RemoveFriend,
    Reply,
    Request,
    ResolvePool,
    SetGameStatus,
    SubmitEvent,
    SubmitEvents,
    VoidPool,
    encode,
)
from market.settings import Settings
from market.store import Call, Failure, Store

_log = logging.getLogger(__name__)

PERIOD_S: Final = 0.25
FIRST_PERIOD_S: Final = 0.02
IDLE_PERIODS: Final = 2
"""Periods after which a batch is sent though it is empty: it shows that nothing waits here."""
BATCH: Final = 64
"""Commands in one entry of the journal: some 4 KiB, the size of a node of the stream."""
BATCHES_AT_ONCE: Final = 16
"""Entries written by one call, so that a process that is far from the master keeps up."""
MAX_GATHERED: Final = 20_000
"""Commands that wait for the journal before the process takes no more requests: some 5 MB."""
MAX_STRANGERS: Final = 5_000
"""Commands that wait before refusals of those who showed no valid token are only counted.

Nobody can have the process refuse the requests of its users who is none of them.
"""

FULL: Final = Failure(
    ErrorCode.TOO_MANY_REQUESTS,
    "the server takes nothing for now and nothing was done; repeat it later",
    1000,
)
"""What a request is told that cannot be noted."""

JOURNALLED: Final[frozenset[type[Request]]] = frozenset(
    (
        PlacePrediction,
        CancelPrediction,
        Deposit,
        AddFriend,
        RemoveFriend,
        AskQuestion,
        PlaceOrder,
        CancelOrder,
    )
)
"""Requests whose entry in the journal says all, when they were carried out."""
WRITES: Final[frozenset[type[Request]]] = JOURNALLED | frozenset(
    (CreateGame, SetGameStatus, OpenPool, ClosePool, ResolvePool, VoidPool, SubmitEvent, SubmitEvents)
)
"""Requests that change something."""


class Audit:
    """Gathers commands and has the store write them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.process = f"{settings.node}.{os.getpid()}.{secrets.token_hex(4)}"
        self.refused = 0
        """Requests that were refused, and not noted, because too many commands waited."""
        self.strangers = 0
        """Refusals of those who showed no valid token that are not noted, only counted here."""
        self._told = 0
        self._everything = settings.audit == "all"
        self._store = store
        self._gathered: deque[Command] = deque()
        self._number = 0
        self._sending: list[bytes] | None = None
        self._in_flight = False
        self._sent_count = 0
        self._idle = 0
        self._is_known = False
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    @property
    def gathered(self) -> int:
        """How many commands wait for the journal."""
        return len(self._gathered) + self._sent_count

    @property
    def is_full(self) -> bool:
        """Whether so many commands wait that no request may be taken."""
        return len(self._gathered) >= MAX_GATHERED

    def gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        """What is to be seen of the audit log in this process."""
        return {
            "market_audit_waiting": ("commands that wait for the journal", lambda: self.gathered),
            "market_audit_refused": (
                "requests refused because too many commands waited",
                lambda: self.refused,
            ),
            "market_audit_strangers": (
                "refusals of clients without a valid token that were only counted",
                lambda: self.strangers,
            ),
        }

    def problem(self) -> str | None:
        """Why readers of the log cannot know of this process yet, None when they do."""
        return None if self._is_known else "audit: not announced yet"

    def answered(self, user: str, request: Request, result: Reply | Failure, took_s: float) -> None:
        """Note how a request was answered, unless the journal says so already."""
        kind = type(request)
        if isinstance(result, Failure):
            self.note(user, str(kind.__struct_config__.tag), result.code, took_s)
        elif kind in JOURNALLED:
            if getattr(result, "duplicate", False):
                self.note(user, str(kind.__struct_config__.tag), 0, took_s)
        elif self._everything or kind in WRITES:
            self.note(user, str(kind.__struct_config__.tag), 0, took_s)

    def note_read(self, user: str, kind: str, code: int) -> None:
        """Note how something that changes nothing was answered."""
        if self.is_full:
            self.refused += 1
        elif self._everything or code:
            self.note(user, kind, code)

    def note_stranger(self, kind: str, code: int, *, again: bool) -> None:
        """Note or count a refusal of somebody who showed no valid token.

        The first one of a connection is noted, those that come `again` are not.
        """
        if again or len(self._gathered) >= MAX_STRANGERS:
            self.strangers += 1
        else:
            self.note("", kind, code)

    def note(self, user: str, kind: str, code: int = 0, took_s: float = 0.0) -> None:
        """Note something of a user, or of nobody ("")."""
        took_ms = int(took_s * 1000)
        self._gathered.append(Command(user, kind, code, int(time.time() * 1000) - took_ms, took_ms))

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self.note("", "process_started")
        self._timer = self._loop.call_later(FIRST_PERIOD_S, self._on_period)

    async def stop(self, timeout_s: float) -> None:
        """Write what is left, as long as the journal takes it in time."""
        self.note("", "process_stopped")
        if self._timer is not None:
            self._timer.cancel()
        self._empty = self._loop.create_future()
        self._send()
        await asyncio.wait((self._empty,), timeout=timeout_s)
        if self.gathered:
            _log.error("%d commands are not in the audit log: the journal did not take them", self.gathered)
        self._store.master(Call(("HDEL", keys.AUDITORS, self.process), lambda _: True), lambda _: None)

    def _on_period(self) -> None:
        period_s = PERIOD_S if self._is_known else FIRST_PERIOD_S
        self._timer = self._loop.call_later(period_s, self._on_period)
        self._idle += 1
        if self._gathered or self._sending is not None or self._idle >= IDLE_PERIODS:
            self._send()

    def _send(self) -> None:
        """Send what has gathered, or what was not taken again."""
        if self._in_flight:
            return
        if self._sending is None:
            self._number += 1
            self._sent_count = min(BATCH * BATCHES_AT_ONCE, len(self._gathered)) if self._is_known else 0
            commands = [self._gathered.popleft() for _ in range(self._sent_count)]
            self._sending = [encode(commands[i : i + BATCH]) for i in range(0, len(commands), BATCH)]
        self._idle = 0
        self._in_flight = True
        call = calls_journal.audit(self.process, self._number, self._sending)
        self._store.master(call, self._written)

    def _written(self, result: bool | Failure) -> None:
        self._in_flight = False
        if result is not True:
            if self._empty is not None:
                self._loop.call_later(PERIOD_S, self._send)
            return
        self._is_known = True
        self._sending, self._sent_count = None, 0
        if self.refused > self._told and not self.is_full:
            _log.warning("%d requests were refused: too many commands waited", self.refused - self._told)
            self._told = self.refused
        if len(self._gathered) >= BATCH or (self._gathered and self._empty is not None):
            self._loop.call_soon(self._send)
        elif self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
