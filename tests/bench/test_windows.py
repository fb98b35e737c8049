"""From samples to meters: windows, capacities, restarts, and what a short run leaves undefined."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import meter_file, meters
from bench.pooling import pooled
from bench.result import Meters, Range, RoleUsage, Summary
from bench.windows import CounterSample, MachineCapacity, MachineSample, evaluate, rising

COST = 2.5
CAPACITIES = (
    MachineCapacity("node", "node", cores=4, memory_mib=1000, disk_mib=10_000),
    MachineCapacity("sql", "sql", cores=12, memory_mib=3000, disk_mib=30_000),
)
LATENCY = {
    "handshake": Summary(count=10, min=3, mean=10, p98=40, max=50),
    "read": Summary(count=30, min=1, mean=4, p50=4, p98=8, max=9),
    "prediction": Summary(count=10, min=80, mean=100, p50=99, p98=160, max=200),
    "broadcast": Summary(count=90, min=40, mean=50, p98=90, max=120),
    "request": Summary(count=40, min=1, mean=28, p98=150, max=200),
}
COUNTERS = tuple(
    CounterSample(float(s), connections, 100.0 * s, 50.0 * s, 2.0 * s, 20.0 * s)
    for s, connections in ((0, 0), (10, 200), (20, 180))
)
NOTHING = Range(None, None, None)


def sampled(
    seconds: Sequence[float],
    *,
    cpu: Callable[[float], float] = lambda s: 0.5 * s,
    network: Callable[[float], float] = lambda s: 1000 * s,
) -> list[MachineSample]:
    """Both machines at each second: CPU and bytes as functions of time, 10 % of memory, 5 % of disk."""
    return [
        MachineSample(
            100 + s,
            size.machine,
            size.role,
            cpu(s),
            size.memory_mib / 10,
            size.disk_mib / 20,
            network(s),
            2 * network(s),
        )
        for s in seconds
        for size in CAPACITIES
    ]


def evaluated(
    samples: Sequence[MachineSample], **changes: Any
) -> tuple[Meters, dict[str, RoleUsage], dict[str, Any]]:
    arguments: dict[str, Any] = {
        "capacities": CAPACITIES,
        "latency": LATENCY,
        "counters": COUNTERS,
        "cost_per_hour": COST,
    }
    return evaluate(samples, **(arguments | changes))


def test_utilisation_is_used_over_capacity_of_all_machines_with_cpu_weighted_by_cores() -> None:
    found, _, inputs = evaluated(sampled(range(21)))
    percent = pytest.approx(100 * (0.5 + 0.5) / 16)
    assert inputs["crum"]["cpu"] == {"min": percent, "avg": percent, "max": percent}
    assert inputs["crum"]["memory"]["avg"] == pytest.approx(10)
    assert inputs["crum"]["disk"]["avg"] == pytest.approx(5)
    assert found.crum.avg == pytest.approx(meters.crum(6.25, 10, 5))


def test_the_range_of_crum_is_that_of_the_windows_own_polygons() -> None:
    samples = sampled(range(31), cpu=lambda s: 0.1 * s if s <= 10 else 1 + 0.8 * (min(s, 20) - 10))
    samples = [replace(x, memory_mib=x.memory_mib * (3 if x.at_s > 120 else 1)) for x in samples]
    found, _, inputs = evaluated(samples)
    by_window = [meters.crum(1.25, 10, 5), meters.crum(10, 10, 5), meters.crum(0, 10 + 20 * 10 / 11, 5)]
    assert (found.crum.min, found.crum.max) == pytest.approx((min(by_window), max(by_window)))
    assert found.crum.avg == pytest.approx(sum(by_window) / 3)
    assert found.crum.min != pytest.approx(
        meters.crum(*(inputs["crum"][name]["min"] for name in ("cpu", "memory", "disk")))
    )


def test_network_is_scaled_to_a_minute_and_summed_over_machines() -> None:
    for window_s in (5, 10, 20):
        _, _, inputs = evaluated(sampled(range(21)), window_s=window_s)
        assert inputs["spm"]["network_in_bytes"]["avg"] == pytest.approx(2 * 1000 * 60)
        assert inputs["spm"]["network_out_bytes"]["avg"] == pytest.approx(2 * 2000 * 60)


def test_the_least_performance_is_of_the_98th_percentiles_with_the_least_network() -> None:
    found, _, _ = evaluated(
        sampled(range(21), network=lambda s: 1000 * s if s <= 10 else 10_000 + 5000 * (s - 10))
    )
    slow, fast = 2 * 1000 * 60, 2 * 5000 * 60
    assert (found.spm.min, found.spm.avg, found.spm.max) == pytest.approx(
        (
            meters.spm(90, 150, 40, slow, 2 * slow),
            meters.spm(50, 28, 10, (slow + fast) / 2, slow + fast),
            meters.spm(40, 1, 3, fast, 2 * fast),
        )
    )


def test_the_load_is_what_came_between_the_first_and_the_last_count() -> None:
    found, _, inputs = evaluated(sampled(range(21)), counters=COUNTERS[::-1])
    expected = meters.slm(200, 2000, 1000, 40, 400)
    assert found.slm == Range(expected, expected, expected)
    assert inputs["slm"]["connections"] == 200


def test_capacity_and_scalability_follow_from_the_meters_own_ranges() -> None:
    found, _, _ = evaluated(sampled(range(31), cpu=lambda s: s * s / 100, network=lambda s: s * s))
    load, spm, crum = found.slm.avg or 0, found.spm, found.crum
    least = meters.sec(load, spm.min or 0, crum.min or 0, COST)
    most = meters.sec(load, spm.max or 0, crum.max or 0, COST)
    assert 0 < least < most
    assert (found.sec.min, found.sec.max) == pytest.approx((least, most))
    assert found.ess == pytest.approx(meters.ess(spm.min or 0, spm.max or 0, least, most))
    assert found.esr.difference == pytest.approx(most - least)
    assert found.esr.ratio == pytest.approx(most / least)


def test_the_inputs_are_a_file_that_the_meters_command_reads() -> None:
    found, _, inputs = evaluated(sampled(range(31), network=lambda s: s * s))
    again: dict[str, Any] = meter_file.compute(meter_file.parse(json.dumps(inputs)))
    for point in ("min", "avg", "max"):
        assert again["spm"][point] == pytest.approx(getattr(found.spm, point))
        assert again["crum"][point] == pytest.approx(getattr(found.crum, point))
    assert again["slm"] == found.slm.avg


@pytest.mark.parametrize("seconds", [[], [0], range(10)])
def test_without_a_whole_window_what_needs_one_is_null(seconds: Sequence[float]) -> None:
    found, usage, inputs = evaluated(sampled(seconds))
    assert (found.crum, found.spm, found.sec) == (NOTHING, NOTHING, NOTHING)
    assert (found.ess, found.esr.difference, found.esr.ratio) == (None, None, None)
    assert found.slm.avg is not None
    assert usage == {}
    assert set(inputs) == {"slm", "cost_per_hour"}


def test_a_machine_without_samples_leaves_utilisation_undefined() -> None:
    found, usage, _ = evaluated([x for x in sampled(range(21)) if x.machine == "node"])
    assert found.crum == NOTHING
    assert usage == {}


def test_a_machine_that_no_capacity_names_does_not_count() -> None:
    users = [replace(x, machine="users-eu-west-1", role="users") for x in sampled(range(21))]
    assert evaluated(sampled(range(21)) + users) == evaluated(sampled(range(21)))


@pytest.mark.parametrize(
    ("latency", "missing"),
    [
        ({}, "all"),
        (LATENCY | {"broadcast": Summary(count=0)}, "broadcast"),
        ({k: v for k, v in LATENCY.items() if k != "handshake"}, "handshake"),
    ],
)
def test_without_a_latency_there_is_no_performance_and_no_capacity(
    latency: dict[str, Summary], missing: str
) -> None:
    found, usage, inputs = evaluated(sampled(range(21)), latency=latency)
    assert (found.spm, found.sec, found.ess) == (NOTHING, NOTHING, None)
    assert found.crum.avg is not None
    assert "spm" not in inputs
    assert set(usage) == {"node", "sql"}


@pytest.mark.parametrize("counters", [(), COUNTERS[:1]])
def test_without_two_counts_there_is_no_load(counters: tuple[CounterSample, ...]) -> None:
    found, _, _ = evaluated(sampled(range(21)), counters=counters)
    assert (found.slm, found.sec) == (NOTHING, NOTHING)


def test_reads_and_predictions_are_pooled_where_requests_are_not_summarised() -> None:
    latency = {name: summary for name, summary in LATENCY.items() if name != "request"}
    _, _, inputs = evaluated(sampled(range(21)), latency=latency)
    assert inputs["spm"]["request_ms"]["avg"] == pytest.approx((30 * 4 + 10 * 100) / 40)
    assert inputs["spm"]["request_ms"]["min"] == 1
    assert 99 < inputs["spm"]["request_ms"]["max"] <= 160


def test_late_and_unordered_samples_are_read_at_the_windows_edges() -> None:
    late = sampled([0.3, 1.1, 2.9, 4.2, 5.8, 8.1, 10.4, 13.6, 17.0, 20.5])
    found, _, inputs = evaluated(late[::-1])
    assert inputs["crum"]["cpu"]["max"] == pytest.approx(6.25)
    assert inputs["spm"]["network_in_bytes"]["min"] == pytest.approx(2 * 1000 * 60)
    assert found.crum.avg == pytest.approx(meters.crum(6.25, 10, 5))


def test_a_restart_that_sets_counters_back_is_not_a_negative_use() -> None:
    samples = [
        replace(
            x,
            cpu_s=x.cpu_s - 4 if x.at_s >= 108 else x.cpu_s,
            network_in_bytes=x.network_in_bytes % 7000,
        )
        for x in sampled(range(21))
    ]
    _, _, inputs = evaluated(samples)
    assert inputs["crum"]["cpu"]["min"] > 0
    assert inputs["spm"]["network_in_bytes"]["min"] > 0


def test_usage_is_by_role_against_what_the_machines_stand_for() -> None:
    capacities = (*CAPACITIES, MachineCapacity("node-2", "node", 4, 1000, 10_000))
    samples = sampled(range(21))
    samples += [replace(x, machine="node-2") for x in samples if x.machine == "node"]
    _, usage, _ = evaluated(samples, capacities=capacities)
    assert msgspec.structs.asdict(usage["node"]) == pytest.approx(
        {
            "machines": 2,
            "cpu_cores": 1.0,
            "cpu_capacity_cores": 8,
            "memory_mib": 200,
            "memory_capacity_mib": 2000,
            "disk_mib": 1000,
            "disk_capacity_mib": 20_000,
            "network_in_mib_min": 2 * 1000 * 60 / 2**20,
            "network_out_mib_min": 4 * 1000 * 60 / 2**20,
        }
    )


@given(st.lists(st.floats(min_value=0, max_value=1e9), max_size=20))
def test_a_counter_without_its_restarts_only_rises(values: list[float]) -> None:
    found = rising(values)
    assert len(found) == len(values)
    assert found == sorted(found)
    if values == sorted(values):
        assert found == pytest.approx(values)


def test_a_counter_goes_on_from_a_restart() -> None:
    assert rising([5, 9, 2, 4]) == [5, 9, 11, 13]


def test_pooling_nothing_gives_nothing_and_one_gives_itself() -> None:
    one = Summary(count=3, min=1, mean=2, max=3)
    assert pooled([]) is None
    assert pooled([Summary(count=0)]) is None
    assert pooled([one, Summary(count=0)]) == one


distributions = st.tuples(st.integers(1, 1000), st.floats(0.1, 1e5), st.floats(1, 10))


@given(st.lists(distributions, min_size=2, max_size=5))
def test_pooled_percentiles_rise_and_stay_between_the_extremes(parts: list[tuple[int, float, float]]) -> None:
    extents = [(count, low, low * wide) for count, low, wide in parts]
    found = pooled(
        [
            Summary(count=n, min=low, mean=(low + high) / 2, p50=(low + high) / 2, p98=high, max=high)
            for n, low, high in extents
        ]
    )
    assert found is not None
    names = ("min", "p50", "p66", "p75", "p80", "p90", "p95", "p98", "p99", "p999", "max")
    values = [getattr(found, name) for name in names]
    assert values == sorted(values)
    assert found.min == min(low for _, low, _ in extents)
    assert found.max == max(high for _, _, high in extents)
    assert found.count == sum(n for n, _, _ in extents)
