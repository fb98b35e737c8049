"""What an entry of the journal is on CloudWatch Logs, and which events one call may have. Pure.

The limits are those of PutLogEvents: 10,000 events and 1,048,576 bytes a call, each event counted with 26
bytes more than its text has in UTF-8, in the order of their times, within 24 hours. An event of more than 14
days ago or 2 hours ahead is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MOST_EVENTS: Final = 10_000
MOST_BYTES: Final = 1_048_576
EVENT_BYTES: Final = 26
"""What CloudWatch counts for an event beside its text."""

LONGEST_SPAN_MS: Final = 24 * 3_600_000
OLDEST_MS: Final = 14 * 24 * 3_600_000
NEWEST_MS: Final = 2 * 3_600_000

MOST_TEXT_BYTES: Final = 65_536
"""Of one event; AWS would take 1 MiB. Lines that services write have at most 48 KiB: journald cuts them."""

LEVELS: Final = {
    str(number): name
    for number, name in enumerate(("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"))
}
"""The names of syslog's levels, by their numbers as the journal has them."""

FIELDS: Final = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "_SYSTEMD_UNIT")
"""The fields of an entry that are read; its place and its time come with every entry."""

_CUT: Final = " [cut]"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CURSOR: Final = re.compile(r"s=[0-9a-f]{32};i=[0-9a-f]+;b=[0-9a-f]{32};m=[0-9a-f]+;t=[0-9a-f]+;x=[0-9a-f]+")
_LATEST_MS: Final = 253_402_300_800_000
"""When the year 10000 begins: no clock shows it."""


@dataclass(frozen=True)
class Event:
    """A line of the log; `at_ms` is Unix time (ms)."""

    at_ms: int
    text: str

    @property
    def size_bytes(self) -> int:
        """What CloudWatch counts for it."""
        return len(self.text.encode()) + EVENT_BYTES


@dataclass(frozen=True)
class Entry:
    """An entry of the journal: its event, and the cursor after which the next one is read."""

    cursor: str
    event: Event


@dataclass(frozen=True)
class Batch:
    """What one call sends.

    Args:
        events: in the order of their times; empty when all of its entries are refused.
        cursor: of the entry that was read last: once the batch is taken, what follows it comes next.
        refused: how many entries CloudWatch would not take for their times.
    """

    events: tuple[Event, ...]
    cursor: str
    refused: int


class _Line(msgspec.Struct):
    cursor: str = msgspec.field(name="__CURSOR")
    at_us: str = msgspec.field(name="__REALTIME_TIMESTAMP")
    message: Any = msgspec.field(name="MESSAGE", default=None)
    priority: Any = msgspec.field(name="PRIORITY", default=None)
    identifier: Any = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    command: Any = msgspec.field(name="_COMM", default=None)
    pid: Any = msgspec.field(name="_PID", default=None)
    unit: Any = msgspec.field(name="_SYSTEMD_UNIT", default=None)


_decoder: Final = msgspec.json.Decoder(_Line)


def entry(line: bytes) -> Entry | None:
    """An entry from a line of `journalctl --output=json`; None when the line is none."""
    try:
        found = _decoder.decode(line)
        at_ms = int(found.at_us) // 1000
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    if not is_cursor(found.cursor) or not 0 <= at_ms < _LATEST_MS:
        return None
    return Entry(found.cursor, Event(at_ms, _text(found)))


def is_cursor(text: str) -> bool:
    """Whether a text is a cursor of the journal."""
    return _CURSOR.fullmatch(text) is not None


class Planner:
    """Collects entries, in the order of the journal, into batches that one call may have.

    The journal's order is that of writing: where the clock was set back, times are not in it. A batch has
    its events sorted, and all entries up to its cursor, so that none is left out by going on from there.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._events: list[Event] = []
        self._cursor: str | None = None
        self._refused = 0
        self._size_bytes = 0
        self._first_ms = self._last_ms = 0

    @property
    def waiting(self) -> int:
        """How many events are collected."""
        return len(self._events)

    @property
    def empty(self) -> bool:
        """Whether nothing is collected, not even an entry that is refused."""
        return self._cursor is None

    def add(self, entry: Entry, now_ms: int) -> Batch | None:
        """Collect an entry; the batch before it when that can have no more.

        Args:
            entry: the one that follows in the journal.
            now_ms: the present (Unix time, ms), by which events are too old or too new.
        """
        event = entry.event
        if not now_ms - OLDEST_MS < event.at_ms < now_ms + NEWEST_MS:
            self._cursor = entry.cursor
            self._refused += 1
            return None
        full = None if self._has_room(event) else self.take()
        if not self._events:
            self._first_ms = self._last_ms = event.at_ms
        self._first_ms = min(self._first_ms, event.at_ms)
        self._last_ms = max(self._last_ms, event.at_ms)
        self._size_bytes += event.size_bytes
        self._events.append(event)
        self._cursor = entry.cursor
        return full

    def take(self) -> Batch | None:
        """What is collected, which is begun anew; None when that is nothing."""
        if self._cursor is None:
            return None
        events = tuple(sorted(self._events, key=lambda event: event.at_ms))
        batch = Batch(events, self._cursor, self._refused)
        self._begin()
        return batch

    def _has_room(self, event: Event) -> bool:
        if not self._events:
            return True
        span_ms = max(self._last_ms, event.at_ms) - min(self._first_ms, event.at_ms)
        return (
            len(self._events) < MOST_EVENTS
            and self._size_bytes + event.size_bytes <= MOST_BYTES
            and span_ms < LONGEST_SPAN_MS
        )


def _text(line: _Line) -> str:
    """Such as `market-api@0[812] INFO a user came`, on one line and within the bound."""
    unit = _string(line.unit)
    named = _string(line.identifier) or _string(line.command) or "unknown"
    name = unit.removesuffix(".service") if unit.endswith(".service") else named
    pid = _string(line.pid)
    place = f"{name}[{pid}]" if pid else name
    level = LEVELS.get(_string(line.priority), "INFO")
    return _bounded(_one_line(f"{place} {level} {_string(line.message)}".rstrip()))


def _string(value: Any) -> str:
    """A field's text: bytes that are no text come as a list of numbers, several values as a list of them."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    if all(isinstance(each, int) and 0 <= each <= 255 for each in value):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    return " ".join(text for each in value if (text := _string(each)))


def _one_line(text: str) -> str:
    """The text with line ends and other controls written out, so that nobody writes a line of another."""
    return _CONTROL.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\t": "\t", "\r": "\\r"}.get(found[0], f"\\x{ord(found[0]):02x}")


def _bounded(text: str) -> str:
    encoded = text.encode("utf-8", errors="backslashreplace")
    if len(encoded) <= MOST_TEXT_BYTES:
        return encoded.decode()
    return encoded[: MOST_TEXT_BYTES - len(_CUT)].decode("utf-8", errors="ignore") + _CUT
