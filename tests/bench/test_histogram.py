from __future__ import annotations

import random
from math import ceil
from statistics import fmean, pstdev

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.histogram import LARGEST_US, PERCENTILES, Histogram, HistogramState, merged
from bench.result import Summary

values_us = st.lists(st.integers(0, LARGEST_US), min_size=1, max_size=60)


def histogram(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


@given(values_us)
def test_count_extremes_mean_and_deviation_are_exact(values: list[int]) -> None:
    summary = histogram(values).summary()
    assert summary.count == len(values)
    assert summary.min == min(values) / 1000
    assert summary.max == max(values) / 1000
    assert summary.mean == pytest.approx(fmean(values) / 1000, abs=0.002)
    assert summary.stddev == pytest.approx(pstdev(values) / 1000, rel=1e-6, abs=0.002)


@given(values_us)
def test_percentiles_are_those_of_the_sorted_values_to_three_digits(values: list[int]) -> None:
    made = histogram(values)
    ordered = sorted(values)
    for percentile in PERCENTILES.values():
        rank = max(int(len(values) * percentile / 100 + 0.5), 1)
        exact_ms = ordered[rank - 1] / 1000
        assert made.percentile_ms(percentile) == pytest.approx(exact_ms, rel=0.001, abs=0.001)


@given(st.lists(values_us, min_size=1, max_size=4))
def test_merging_is_recording_everything_in_one(parts: list[list[int]]) -> None:
    whole = histogram([value for part in parts for value in part])
    assert merged(histogram(part).state() for part in parts).summary() == whole.summary()
    assert merged(histogram(part).state() for part in parts).curve() == whole.curve()


@given(values_us)
def test_a_histogram_survives_being_written_down(values: list[int]) -> None:
    made = histogram(values)
    text = msgspec.json.encode(made.state())
    assert Histogram.of(msgspec.json.decode(text, type=HistogramState)).summary() == made.summary()


def test_nothing_recorded_is_null_and_not_zero() -> None:
    assert Histogram().summary() == Summary(count=0)
    assert Histogram().curve().value_ms == []
    assert merged([Histogram().state()]).summary() == Summary(count=0)


def test_what_is_beyond_two_hours_keeps_its_exact_maximum() -> None:
    summary = histogram([1000, 3 * LARGEST_US]).summary()
    assert summary.max == 3 * LARGEST_US / 1000


def test_a_negative_value_counts_as_zero() -> None:
    assert histogram([-5]).summary().max == 0


def test_the_curve_rises_from_the_least_to_the_greatest_value() -> None:
    source = random.Random(1)
    values = [ceil(source.lognormvariate(10, 1)) for _ in range(5000)]
    curve = histogram(values).curve()
    assert 80 <= len(curve.fraction) <= 130
    assert curve.value_ms == sorted(curve.value_ms)
    assert curve.fraction == sorted(curve.fraction)
    assert curve.value_ms[0] == pytest.approx(min(values) / 1000, rel=0.001)
    assert curve.value_ms[-1] == max(values) / 1000
    assert curve.fraction[-1] == 1
