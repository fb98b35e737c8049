"""What happened between two measurements."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.node.reporter import rates
from ami.node.reporter.figures import Figure, Labels, Metric, Snapshot

COUNTER = Metric("some_total", "counter", "something", ("a",))


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [(3, 5, 2), (5, 5, 0), (5, 2, 2), (5, 0, 0)],
    ids=["grows", "stands", "began again at zero", "began again and stands"],
)
def test_a_counter_grows_or_begins_again(before: float, after: float, grown: float) -> None:
    assert rates.increase(before, after) == grown


@given(st.lists(st.integers(0, 1 << 40), min_size=2), st.data())
def test_nothing_is_lost_between_measurements_of_a_counter_that_begins_again(
    events: list[int], data: st.DataObject
) -> None:
    measured = [0]
    for more in events:
        began_again = data.draw(st.booleans()) and more > 0 and more < measured[-1]
        measured.append(more if began_again else measured[-1] + more)
    total = sum(rates.increase(a, b) for a, b in pairwise(measured))
    assert total == sum(events)


def test_a_counter_that_was_not_there_before_has_not_grown() -> None:
    assert rates.increases({("a",): 1}, {("a",): 3, ("b",): 100}) == {("a",): 2}


def test_without_a_counter_nothing_can_be_said() -> None:
    with_it = Snapshot(0, (Figure(COUNTER, 4, ("x",)),))
    without = Snapshot(0, ())
    assert rates.total_increase(with_it, with_it, COUNTER.name) == 0
    assert rates.total_increase(without, with_it, COUNTER.name) is None
    assert rates.total_increase(with_it, without, COUNTER.name) is None


def test_a_core_is_busy_when_it_does_not_wait() -> None:
    before: dict[Labels, float] = {
        ("0", "user"): 10.0,
        ("0", "idle"): 10.0,
        ("1", "iowait"): 5.0,
        ("1", "steal"): 1.0,
    }
    after: dict[Labels, float] = {
        ("0", "user"): 11.0,
        ("0", "idle"): 13.0,
        ("1", "iowait"): 5.0,
        ("1", "steal"): 5.0,
    }
    assert rates.busy_percent(before, after) == {"0": 25.0, "all": 62.5, "1": 100.0}


def test_time_that_goes_back_a_little_is_no_time() -> None:
    before: dict[Labels, float] = {("0", "user"): 10.0, ("0", "iowait"): 10.0}
    after: dict[Labels, float] = {("0", "user"): 11.0, ("0", "iowait"): 9.9}
    assert rates.busy_percent(before, after) == {"0": 100.0, "all": 100.0}


def test_without_time_in_between_nothing_can_be_said() -> None:
    assert rates.busy_percent({("0", "user"): 1.0}, {("0", "user"): 1.0}) == {}


def buckets(process: str, *counts: tuple[str, float]) -> dict[Labels, float]:
    return {(process, bound): count for bound, count in counts}


def test_events_are_spread_over_the_buckets_of_all_processes() -> None:
    before = buckets("api-0", ("1.0", 5), ("2.0", 5), ("+Inf", 6)) | buckets("api-1", ("1.0", 0), ("+Inf", 0))
    after = buckets("api-0", ("1.0", 6), ("2.0", 9), ("+Inf", 12)) | buckets("api-1", ("1.0", 2), ("+Inf", 2))
    assert rates.spread(before, after) == {1.0: 3, 2.0: 3 + 2}


def test_a_process_that_began_again_counts_from_zero() -> None:
    before = buckets("api-0", ("1.0", 5), ("2.0", 9), ("+Inf", 9))
    after = buckets("api-0", ("1.0", 1), ("2.0", 9), ("+Inf", 9))
    assert rates.spread(before, after) == {1.0: 1, 2.0: 8}


def test_a_process_that_was_not_heard_before_is_left_out() -> None:
    assert rates.spread({}, buckets("api-0", ("1.0", 5), ("+Inf", 5))) == {}


def test_a_minute_without_events_has_no_values() -> None:
    same = buckets("api-0", ("1.0", 5), ("+Inf", 5))
    assert rates.spread(same, same) == {}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_no_event_is_lost_or_counted_twice(by_bucket: list[tuple[int, int]]) -> None:
    bounds = [str(float(index)) for index in range(len(by_bucket))]
    before: dict[Labels, float] = {}
    after: dict[Labels, float] = {}
    earlier = later = 0
    for bound, (old, new) in zip(bounds, by_bucket, strict=True):
        earlier, later = earlier + old, later + old + new
        before["api-0", bound], after["api-0", bound] = earlier, later
    expected = {float(index): new for index, (_, new) in enumerate(by_bucket) if new}
    assert rates.spread(before, after) == expected
