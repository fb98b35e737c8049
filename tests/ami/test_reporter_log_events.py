"""What entries of the journal become, and what one call may have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.node.reporter import log_events
from ami.node.reporter.log_events import Batch, Entry, Event, Planner, entry

DAY_MS = 24 * 3_600_000
NOW_MS = 1_795_878_574_737


def cursor(number: int = 1) -> str:
    return f"s={'0' * 32};i={number:x};b={'1' * 32};m=3e9;t=661579081c9bb;x=f7eb01ca5045c25"


def line(**fields: Any) -> bytes:
    return json.dumps(
        {"__CURSOR": cursor(), "__REALTIME_TIMESTAMP": f"{NOW_MS}123", "PRIORITY": "6", **fields}
    ).encode()


def text(**fields: Any) -> str:
    found = entry(line(**fields))
    assert found is not None
    return found.event.text


SERVICE = {"_SYSTEMD_UNIT": "market-api@0.service", "_PID": "812", "SYSLOG_IDENTIFIER": "market"}


def test_an_entry_has_its_time_and_its_cursor() -> None:
    found = entry(line(MESSAGE="a user came", **SERVICE))
    assert found == Entry(cursor(), Event(NOW_MS, "market-api@0[812] INFO a user came"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**SERVICE, "MESSAGE": None}, "market-api@0[812] INFO"),
        (SERVICE, "market-api@0[812] INFO"),
        ({**SERVICE, "MESSAGE": [98, 97, 100, 32, 255]}, "market-api@0[812] INFO bad \\xff"),
        ({**SERVICE, "MESSAGE": ["first", [115, 101, 99]]}, "market-api@0[812] INFO first sec"),
        ({**SERVICE, "MESSAGE": "two\nlines\x1b[0m"}, "market-api@0[812] INFO two\\nlines\\x1b[0m"),
        ({**SERVICE, "MESSAGE": "x", "PRIORITY": "3"}, "market-api@0[812] ERR x"),
        ({**SERVICE, "MESSAGE": "x", "PRIORITY": "what"}, "market-api@0[812] INFO x"),
        ({"SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "oops", "PRIORITY": "2"}, "kernel CRIT oops"),
        (
            {"SYSLOG_IDENTIFIER": "systemd", "_SYSTEMD_UNIT": "init.scope", "_PID": "1", "MESSAGE": "up"},
            "systemd[1] INFO up",
        ),
        ({"_COMM": "sudo", "_SYSTEMD_UNIT": "session-1.scope", "MESSAGE": "x"}, "sudo INFO x"),
        ({"MESSAGE": "x"}, "unknown INFO x"),
        ({**SERVICE, "MESSAGE": 7}, "market-api@0[812] INFO"),
    ],
)
def test_a_line_says_who_wrote_it_and_how_grave_it_is(fields: dict[str, Any], expected: str) -> None:
    assert text(**fields) == expected


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"null",
        b"{}",
        b'{"__CURSOR": 1}',
        line(MESSAGE="x")[:-4],
        line(__REALTIME_TIMESTAMP="soon"),
        line(__REALTIME_TIMESTAMP="9" * 30),
        line(__CURSOR="--help"),
        b"\xff\xfe",
    ],
)
def test_what_is_no_entry_is_none(broken: bytes) -> None:
    assert entry(broken) is None


@given(st.binary(max_size=300))
def test_no_line_is_an_exception(data: bytes) -> None:
    assert entry(data) is None


ANY_TEXT = st.text("ab é\n\r\t\x00\x1b\x85\u2028€😀", max_size=30)
ANY_BYTES = st.binary(max_size=30).map(list)
VALUES = st.none() | ANY_TEXT | ANY_BYTES | st.lists(ANY_TEXT | ANY_BYTES, max_size=3) | st.integers()
NAMES = ("MESSAGE", "PRIORITY", "_PID", "_SYSTEMD_UNIT", "_COMM")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)))
def test_whatever_the_fields_are_the_event_is_one_bounded_line(fields: dict[str, Any]) -> None:
    found = text(**fields)
    assert len(found.splitlines()) == 1
    assert 0 < len(found.encode()) <= log_events.MOST_TEXT_BYTES


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_line_is_cut_between_two_characters(character: str, shift: int) -> None:
    found = text(**SERVICE, MESSAGE="." * shift + character * 70_000)
    assert found.endswith(f"{character} [cut]")
    assert log_events.MOST_TEXT_BYTES - 4 < len(found.encode()) <= log_events.MOST_TEXT_BYTES


def test_a_line_up_to_the_bound_is_whole() -> None:
    head = "market-api@0[812] INFO "
    whole = text(**SERVICE, MESSAGE="x" * (log_events.MOST_TEXT_BYTES - len(head)))
    assert whole.endswith("x")


def test_a_cursor_is_what_systemd_writes() -> None:
    assert log_events.is_cursor(cursor())
    for other in ("", cursor() + ";", "x" + cursor(), cursor() + "\n", cursor().upper()):
        assert not log_events.is_cursor(other)


def plan(entries: list[Entry], now_ms: int = NOW_MS) -> list[Batch]:
    planner = Planner()
    found = [batch for each in entries if (batch := planner.add(each, now_ms))]
    if (last := planner.take()) is not None:
        found.append(last)
    assert planner.empty
    assert planner.take() is None
    return found


def entries(*at_ms: int, text: str = "x") -> list[Entry]:
    return [Entry(cursor(number), Event(at, text)) for number, at in enumerate(at_ms)]


def valid(at_ms: int) -> bool:
    return NOW_MS - 14 * DAY_MS < at_ms < NOW_MS + 2 * 3_600_000


TIMES = st.integers(-16 * DAY_MS, DAY_MS).map(lambda shift: NOW_MS + shift)
NEAR = st.integers(-3_600_000, 60_000).map(lambda shift: NOW_MS + shift)
TEXTS = st.sampled_from(["x", "é" * 30_000, "€" * 21_000])


@given(st.lists(st.tuples(TIMES | NEAR, TEXTS), max_size=80))
def test_every_batch_is_within_the_limits_and_everything_is_in_one(rows: list[tuple[int, str]]) -> None:
    given_entries = [Entry(cursor(n), Event(at, text)) for n, (at, text) in enumerate(rows)]
    batches = plan(given_entries)
    for batch in batches:
        assert len(batch.events) <= 10_000
        assert sum(len(event.text.encode()) + 26 for event in batch.events) <= 1_048_576
        times = [event.at_ms for event in batch.events]
        assert times == sorted(times)
        assert not times or times[-1] - times[0] < DAY_MS
    # Each batch has the events up to its cursor, and none of them twice.
    place = 0
    for batch in batches:
        upto = next(n for n, each in enumerate(given_entries) if each.cursor == batch.cursor) + 1
        part = given_entries[place:upto]
        taken = [each.event for each in part if valid(each.event.at_ms)]
        assert sorted(batch.events, key=repr) == sorted(taken, key=repr)
        assert batch.refused == len(part) - len(taken)
        place = upto
    assert place == len(given_entries)


def test_events_of_one_time_stay_in_the_order_of_the_journal() -> None:
    rows = [
        Entry(cursor(n), Event(at, str(n))) for n, at in enumerate([NOW_MS, NOW_MS - 5, NOW_MS, NOW_MS - 5])
    ]
    assert [event.text for event in plan(rows)[0].events] == ["1", "3", "0", "2"]


def test_a_call_has_at_most_10000_events() -> None:
    batches = plan(entries(*[NOW_MS] * 20_001))
    assert [len(batch.events) for batch in batches] == [10_000, 10_000, 1]


def test_a_call_has_at_most_1048576_bytes() -> None:
    # 16 events of 65,536 bytes are just that much.
    batches = plan(entries(*[NOW_MS] * 17, text="x" * (65_536 - 26)))
    assert [len(batch.events) for batch in batches] == [16, 1]


def test_a_call_spans_less_than_a_day_also_when_the_clock_is_set_back() -> None:
    day = plan(entries(NOW_MS - DAY_MS, NOW_MS))
    assert [len(batch.events) for batch in day] == [1, 1]
    less = plan(entries(NOW_MS - DAY_MS + 1, NOW_MS))
    assert [len(batch.events) for batch in less] == [2]
    back = plan(entries(NOW_MS, NOW_MS - DAY_MS))
    assert [len(batch.events) for batch in back] == [1, 1]


def test_what_is_too_old_or_too_new_is_left_out_and_passed() -> None:
    old, new = NOW_MS - 14 * DAY_MS, NOW_MS + 2 * 3_600_000
    (batch,) = plan(entries(old, old + 1, new, new - 1))[:1]
    assert batch == Batch((Event(old + 1, "x"),), cursor(2), 2)
    assert plan(entries(old, new)) == [Batch((), cursor(1), 2)]


def test_what_waits_is_counted() -> None:
    planner = Planner()
    assert planner.empty
    planner.add(entries(NOW_MS - 15 * DAY_MS)[0], NOW_MS)
    assert (planner.empty, planner.waiting) == (False, 0)
    planner.add(entries(NOW_MS)[0], NOW_MS)
    assert planner.waiting == 1
