"""Ships the machine's journal to CloudWatch Logs, and goes on where it stopped.

Nothing is lost, and nothing is sent twice but when a reporter is killed between CloudWatch's answer and the
writing of the cursor, or an answer is lost on its way. The journal is the buffer: while CloudWatch takes
nothing, only the batch that waits is in memory. (docs/decisions/0024-logs.md)
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ami.errors import AmiError
from ami.node import aws
from ami.node.reporter import log_events
from ami.node.reporter.figures import Figure, Metric
from ami.node.reporter.journal import Journal, JournalError, Lines
from ami.node.reporter.log_events import Batch, Planner
from ami.node.reporter.log_stream import LogStream, never_taken

_log = logging.getLogger(__name__)

SEND_S: Final = 5.0
"""How long an entry waits for others to be sent with, unless one call can have no more."""

PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
"""Between two attempts: doubled each time, up to this."""

CURSOR_FILE: Final = "journal-cursor"

WAITING: Final = Metric(
    "isochrone_reporter_waiting_log_events", "gauge", "events read that CloudWatch Logs has not taken"
)
FAILURES: Final = Metric(
    "isochrone_reporter_log_failures_total", "counter", "calls that CloudWatch Logs did not take"
)
DROPPED: Final = Metric(
    "isochrone_reporter_dropped_log_events_total", "counter", "events that CloudWatch Logs will never have"
)
SHIPPED_AT: Final = Metric(
    "isochrone_reporter_logs_shipped_timestamp_seconds",
    "gauge",
    "when CloudWatch Logs last took events (Unix time)",
)


class KeptCursor:
    """The cursor of the last entry that CloudWatch has, in a file that is written in one step.

    Args:
        directory: where the file is; it is there.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / CURSOR_FILE

    def read(self) -> str | None:
        """The cursor; None when there is none, or the file has something else."""
        try:
            text = self._path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return None
        return text if log_events.is_cursor(text) else None

    def write(self, cursor: str) -> None:
        """Keep a cursor, over a power cut too.

        Raises:
            OSError: when it cannot be written.
        """
        new = self._path.with_suffix(".new")
        with new.open("w", encoding="ascii") as stream:
            stream.write(cursor + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(self._path)


class Shipper:
    """Follows the journal and sends what is in it, until it is ended.

    Args:
        journal: what to follow.
        kept: where to go on, over restarts and reboots.
        stream: where to send to.
        stop: ends this, at once.
        send_s: how long an entry waits for others (s).
        pause_s: the first pause after a failure (s).
        now_s: Unix time (s).
    """

    name = "logs"

    def __init__(
        self,
        journal: Journal,
        kept: KeptCursor,
        stream: LogStream,
        stop: threading.Event,
        *,
        send_s: float = SEND_S,
        pause_s: float = PAUSE_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._kept = kept
        self._stream = stream
        self._stop = stop
        self._send_s = send_s
        self._first_pause_s = self._pause_s = pause_s
        self._now_s = now_s
        self._cursor = kept.read()
        self._planner = Planner()
        self._pending = 0
        self._failures = 0
        self._dropped = 0
        self._shipped_at_s: float | None = None
        self._problem: str | None = None

    def run(self) -> None:
        """Ship until the stop; whatever happens on the way is tried again after a pause."""
        while not self._stop.is_set():
            try:
                self._follow()
            except Exception as error:  # the figures are not concerned, and the next attempt may do
                # Before it is told: at a stop the child may be gone before this is known here.
                if self._rests():
                    return
                self._tell("the journal cannot be followed", _line(error))

    def end(self) -> None:
        """End the child that follows the journal; the stop is set."""
        self._journal.end()

    def collect(self) -> Iterator[Figure]:
        """See `Collector`: how the shipping goes."""
        yield Figure(WAITING, self._planner.waiting + self._pending)
        yield Figure(FAILURES, self._failures)
        yield Figure(DROPPED, self._dropped)
        if self._shipped_at_s is not None:
            yield Figure(SHIPPED_AT, self._shipped_at_s)

    def _follow(self) -> None:
        """Ship from the cursor on; while a batch that is not taken is tried again, nothing is read."""
        self._planner = Planner()
        with self._journal.following(self._cursor) as lines:
            batch = self._ship(lines)
        self._planner = Planner()
        self._pending = len(batch.events)
        while not self._rests() and not self._taken(batch):
            pass
        self._pending = 0

    def _ship(self, lines: Lines) -> Batch:
        """Send what comes until a batch is not taken, which is the answer.

        Raises:
            JournalError: when the child has ended; what it has written before is taken.
        """
        due_s: float | None = None
        while True:
            too_long = lines.too_long
            try:
                found = lines.read(None if due_s is None else due_s - time.monotonic())
            except JournalError:
                last = None if self._stop.is_set() else self._planner.take()
                if last is None or self._taken(last):
                    raise
                return last
            for line in found:
                full = self._add(line)
                if full is not None:
                    due_s = None
                    if not self._taken(full):
                        return full
            self._dropped += lines.too_long - too_long
            if self._planner.empty:
                continue
            if due_s is None:
                due_s = time.monotonic() + self._send_s
            elif time.monotonic() >= due_s and (batch := self._planner.take()):
                due_s = None
                if not self._taken(batch):
                    return batch

    def _add(self, line: bytes) -> Batch | None:
        entry = log_events.entry(line)
        if entry is None:
            self._dropped += 1
            return None
        return self._planner.add(entry, int(self._now_s() * 1000))

    def _taken(self, batch: Batch) -> bool:
        """Send a batch; whether the journal may be read on, as after one that never will be taken."""
        dropped = batch.refused
        problem: str | None = None
        try:
            if batch.events:
                refused = self._stream.put(batch.events)
                dropped += refused
                problem = "some are too old or too new for it" if refused else None
                self._shipped_at_s = self._now_s()
        except Exception as error:  # the next attempt may do, whatever it is
            self._failures += 1
            problem = _line(error)
            if not never_taken(error):
                self._tell("CloudWatch does not take the logs", problem)
                return False
            dropped += len(batch.events)
        self._dropped += dropped
        self._pause_s = self._first_pause_s
        self._cursor = batch.cursor
        self._keep(batch.cursor, problem)
        return True

    def _keep(self, cursor: str, problem: str | None) -> None:
        about = "CloudWatch refuses log events"
        try:
            self._kept.write(cursor)
        except OSError as error:
            about, problem = "the place in the journal cannot be kept", error.strerror or str(error)
        self._tell(about, problem)

    def _rests(self) -> bool:
        """Wait until the next attempt; whether this is ended."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return self._stop.wait(pause_s)

    def _tell(self, about: str, problem: str | None) -> None:
        """A line when something begins to fail, fails otherwise than before, or is well again.

        These lines are in the journal and are shipped as well: one for each call would bring the next call.
        """
        told = None if problem is None else f"{about}: {problem}"
        if told == self._problem:
            return
        self._problem = told
        if told is None:
            _log.info("logs are shipped again")
        else:
            _log.warning("%s", told)


def _line(error: Exception) -> str:
    """An error as one line."""
    if isinstance(error, aws.REFUSALS):
        return aws.reason(error)
    return str(error) if isinstance(error, AmiError) else f"{type(error).__name__}: {error}"
