"""What the workers measured, merged; and whether the machine was the bottleneck."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from bench.histogram import Histogram
from bench.load import combine, lag_of
from bench.outcome import Outcome, Position, Reception
from bench.result import LATENCIES, Generator, Spread
from bench.saturation import CpuTimes, busy, cpu_times, full_share, judge

FINE = Generator(lag_p98_ms=1.0, saturated=False)
START_US = 1_000_000_000
S = 1_000_000


def histogram(values_us: Sequence[int] = ()) -> Histogram:
    made = Histogram()
    for value in values_us:
        made.record(value)
    return made


def heard(offset: int, published_s: float, first_ms: float, last_ms: float, receivers: int = 10) -> Reception:
    """A broadcast published that long after the start, received that long after it."""
    published_us = START_US + int(published_s * S)
    return Reception(
        "winner",
        1,
        offset,
        published_us,
        published_us + int(first_ms * 1000),
        published_us + int(last_ms * 1000),
        receivers,
    )


def outcome(region: str, **fields: object) -> Outcome:
    """A worker of ten users, who joined 5 s after the start; the load ended after 30 s."""
    nothing = histogram().state()
    plain = Outcome(
        region=region,
        users=10,
        connected=10,
        failed=0,
        lost=0,
        requests=0,
        received=0,
        missed=0,
        duplicate=0,
        latency=dict.fromkeys(LATENCIES, nothing),
        lag=nothing,
        errors={},
        receptions=[],
        positions=[],
        started_us=START_US,
        settled_us=START_US + 5 * S,
        ended_us=START_US + 30 * S,
        acknowledged=[],
        unanswered=[],
        complete=True,
        cpu_s=1.0,
    )
    return msgspec.structs.replace(plain, **fields)


def test_the_spread_is_from_the_first_user_anywhere_to_the_last_anywhere() -> None:
    near = outcome("near", receptions=[heard(1, 10, 2, 5), heard(2, 13, 1, 4)])
    far = outcome("far", receptions=[heard(1, 10, 100, 120), heard(2, 13, 90, 300)])
    load = combine([near, far], ramp_s=3, generator=FINE)
    assert load.spread.count == 2
    assert load.spread.max == 299
    assert load.spread.p50 == (118 + 299) / 2
    assert load.spread.p98 is None


@pytest.mark.parametrize(("broadcasts", "p98"), [(49, None), (50, 49.0)])
def test_the_spread_has_a_98th_percentile_of_fifty_broadcasts_and_more(
    broadcasts: int, p98: float | None
) -> None:
    every = [heard(n, 6 + n / 10, 0, n) for n in range(1, broadcasts + 1)]
    spread = combine([outcome("one", receptions=every)], ramp_s=3, generator=FINE).spread
    assert (spread.count, spread.max) == (broadcasts, broadcasts)
    assert spread.p98 == (None if p98 is None else pytest.approx(p98, rel=0.001))


def test_the_spread_counts_from_when_everybody_connected_and_joined_until_the_load_ended() -> None:
    early, after_ramp, settled, late = (heard(n, at_s, 0, n) for n, at_s in enumerate((2, 6, 9, 31)))
    one = outcome("one", receptions=[early, after_ramp, settled, late])
    two = outcome("two", settled_us=START_US + 8 * S)
    assert combine([one, two], ramp_s=3, generator=FINE).spread == Spread(2, None, 2, 1)
    assert combine([one], ramp_s=3, generator=FINE).spread.count == 2
    assert combine([one], ramp_s=8.5, generator=FINE).spread.count == 1


def test_without_a_broadcast_there_is_no_spread() -> None:
    load = combine([outcome("one", settled_us=0)], ramp_s=3, generator=FINE)
    assert load.spread == Spread(None, None, None, 0)
    assert load.settled_at_s is None


def test_counts_errors_and_predictions_are_those_of_all_workers() -> None:
    one = outcome(
        "one",
        connected=9,
        failed=1,
        requests=5,
        received=7,
        missed=1,
        errors={"close:1006": 1, "error:5030": 2},
        acknowledged=[("u", "1", "winner", 0, 5)],
    )
    two = outcome("two", lost=2, requests=6, received=8, duplicate=3, early=4, errors={"error:5030": 1})
    load = combine([one, two], ramp_s=3, generator=FINE)
    assert (load.users.requested, load.users.connected, load.users.failed, load.users.lost) == (20, 19, 1, 2)
    assert (load.broadcasts.received, load.broadcasts.missed, load.broadcasts.duplicate) == (15, 1, 3)
    assert load.broadcasts.early == 4
    assert load.errors == {"close:1006": 1, "error:5030": 3}
    assert load.requests == 11
    assert load.acknowledged == [("u", "1", "winner", 0, 5)]
    assert load.generator is FINE


def test_latencies_are_pooled_over_the_regions_and_kept_by_region() -> None:
    latency = {**dict.fromkeys(LATENCIES, histogram().state()), "read": histogram([1000, 3000]).state()}
    other = {**latency, "read": histogram([5000]).state()}
    load = combine([outcome("one", latency=latency), outcome("two", latency=other)], 3, FINE)
    read = load.latency["read"]
    assert (read.all.count, read.all.min, read.all.mean, read.all.max) == (3, 1, 3, 5)
    assert {region: summary.mean for region, summary in read.by_region.items()} == {"one": 2, "two": 5}
    assert set(load.curves) == set(LATENCIES)
    assert load.curves["read"].value_ms[-1] == 5
    assert load.region_curves["read"]["one"].value_ms[-1] == 3


def test_a_region_that_hears_nothing_more_misses_what_the_others_received() -> None:
    heard_here = [heard(n, 5 + 3 * n, 1, 2) for n in range(1, 9)]
    here = outcome("here", receptions=heard_here, positions=[Position("winner", 1, 8, 10)])
    deaf = outcome("deaf", receptions=heard_here[:2], positions=[Position("winner", 1, 2, 10)])
    assert combine([here, deaf], 3, FINE).broadcasts.missed == 10 * 6


def test_what_was_published_after_the_load_is_missed_by_nobody() -> None:
    here = outcome("here", receptions=[heard(1, 29, 1, 2), heard(2, 30.5, 1, 2)])
    gone = outcome("gone", positions=[Position("winner", 1, 1, 10)])
    assert combine([here, gone], 3, FINE).broadcasts.missed == 0


def test_users_who_never_heard_anything_miss_what_was_published_after_they_had_joined() -> None:
    here = outcome("here", receptions=[heard(1, 4, 1, 2), heard(2, 7, 1, 2), heard(3, 10, 1, 2)])
    deaf = outcome("deaf", positions=[Position("winner", 0, 0, 4)])
    assert combine([here, deaf], 3, FINE).broadcasts.missed == 4 * 2


def test_the_lag_is_that_of_all_generators() -> None:
    lag = lag_of([outcome("a", lag=histogram([1000]).state()), outcome("b", lag=histogram([9000]).state())])
    assert lag.summary().max == 9
    assert lag.count == 2


def test_a_generator_in_time_on_a_machine_with_room_is_not_saturated() -> None:
    verdict = judge(histogram([1000] * 100), 0.6, {"ramp": 0.8, "load": 0.5})
    assert verdict == Generator(lag_p98_ms=1.0, saturated=False, cpu_busy=0.6, reasons=[])


def test_a_generator_that_is_late_says_so() -> None:
    verdict = judge(histogram([1000] * 97 + [80_000] * 3), 0.6, {})
    assert verdict.saturated
    assert "late" in verdict.reasons[0]


def test_a_phase_in_which_the_machine_was_full_counts_though_the_mean_does_not() -> None:
    verdict = judge(histogram([1000]), 0.7, {"ramp": 0.99, "load": 0.6})
    assert verdict.saturated
    assert verdict.reasons == ["the machine's CPUs were 99% busy during the ramp, the limit is 95%"]


@pytest.mark.parametrize(("full", "saturated"), [(None, False), (0.05, False), (0.08, True)])
def test_bursts_that_fill_the_machine_saturate_it_though_the_mean_does_not(
    full: float | None, saturated: bool
) -> None:
    verdict = judge(histogram([1000]), 0.5, {"ramp": 0.5, "load": 0.5}, full)
    assert verdict.saturated == saturated
    assert ("full in 8% of the tenths of a second" in " ".join(verdict.reasons)) == saturated


def test_the_full_share_is_of_the_slices_between_the_moments() -> None:
    times = [CpuTimes(0, 0), CpuTimes(0.1, 0.2), CpuTimes(0.3, 0.4), CpuTimes(0.3, 0.4), CpuTimes(0.3, 0.6)]
    assert full_share(times) == pytest.approx(1 / 3)
    assert full_share(times[:1]) is None


def test_the_share_in_use_is_of_the_time_between_two_moments() -> None:
    assert busy(CpuTimes(10, 100), CpuTimes(13, 104)) == 0.75
    assert busy(CpuTimes(10, 100), CpuTimes(10, 100)) is None


def test_the_machines_cpu_time_is_read() -> None:
    before = cpu_times()
    assert 0 < before.busy_s < before.total_s
    assert cpu_times().total_s >= before.total_s
