"""The minutes of a run as CloudWatch has them become windows of the utilisation meters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.windows import Window
from fleet import cloudwatch
from fleet.cloudwatch import minutes_of
from fleet.errors import FleetError
from fleet.machines import Machine
from fleet.watched import Figure, Watched, watched
from tests.fleet.conftest import HOME, Cloud, stack

NOON = 1_790_000_040
"""The beginning of a minute."""

NODE = Machine(HOME, "node", "i-node", "isochrone-geo-i-node-eu-west-1")
MACHINES = [
    NODE,
    Machine(HOME, "core", "i-core", "isochrone-geo-i-core-eu-west-1"),
    Machine(HOME, "redis", "i-redis", "isochrone-geo-i-redis-0"),
    Machine(HOME, "monitoring", "i-monitoring", "isochrone-geo-i-monitoring-0"),
    Machine(HOME, "load", "i-load", "isochrone-geo-i-load-eu-west-1"),
]
HOSTS = {HOME: "isochrone-geo-i-sql.abc123.eu-west-1.rds.amazonaws.com"}


@given(start_ms=st.integers(0, 10**12), length_ms=st.integers(0, 10**7))
def test_the_minutes_of_a_run_are_whole_and_inside_it(start_ms: int, length_ms: int) -> None:
    minutes = minutes_of(start_ms / 1000, (start_ms + length_ms) / 1000)
    assert all(minute % 60 == 0 for minute in minutes)
    assert all(start_ms <= 1000 * minute <= start_ms + length_ms - 60_000 for minute in minutes)
    assert len(minutes) >= length_ms // 60_000 - 1


def test_what_serves_users_counts_and_neither_the_load_nor_the_watch() -> None:
    found = watched(stack("geo-i"), MACHINES, HOSTS)
    assert [(each.capacity.machine, each.capacity.role) for each in found] == [
        ("i-node", "node"),
        ("i-core", "core"),
        ("i-redis", "redis"),
        ("isochrone-geo-i-sql", "sql"),
    ]
    assert [each.capacity.cores for each in found] == [4, 1, 2, 16]


def test_sizes_are_those_of_the_types_that_are_ordered() -> None:
    (node, sql) = watched(stack("geo-i", hardware="current"), [NODE], HOSTS)
    assert (node.capacity.cores, node.capacity.memory_mib) == (4, 16 * 1024)
    assert node.capacity.disk_mib == 140 * 1024
    assert (sql.capacity.cores, sql.capacity.memory_mib) == (16, 128 * 1024)


def test_machines_are_known_to_cloudwatch_by_what_they_report_under() -> None:
    node, _, redis, sql = watched(stack("geo-i"), MACHINES, HOSTS)
    assert (node.metrics["cpu"].dimension, node.metrics["cpu"].value) == ("InstanceId", "i-node")
    reported = node.metrics["memory"]
    assert (reported.namespace, reported.dimension) == ("Isochrone", "AutoScalingGroupName")
    assert reported.value == "isochrone-geo-i-node-eu-west-1"
    assert (redis.metrics["disk"].dimension, redis.metrics["disk"].value) == (
        "Machine",
        "isochrone-geo-i-redis-0",
    )
    assert {redis.metrics[figure].namespace for figure in redis.metrics} == {"Isochrone"}
    assert (sql.metrics["memory"].namespace, sql.metrics["memory"].value) == (
        "AWS/RDS",
        "isochrone-geo-i-sql",
    )


def test_a_machine_that_the_stack_file_does_not_have_is_told() -> None:
    with pytest.raises(FleetError, match="baseline has a redis machine that its stack file does not have"):
        watched(stack("baseline"), [Machine(HOME, "redis", "i-redis")], {})


def minute(node: Mapping[Figure, float]) -> dict[tuple[str, Figure], dict[int, float]]:
    return {("i-node", figure): {NOON: value} for figure, value in node.items()}


EVERYTHING: Mapping[Figure, float] = {"cpu": 50, "memory": 25, "disk": 10, "in": 600, "out": 1200}


def test_a_minute_of_a_machine_is_percents_of_its_size_and_bytes() -> None:
    counted = watched(stack("geo-i"), [NODE], {})
    (found,) = cloudwatch.windows(counted, minute(EVERYTHING), range(NOON, NOON + 60, 60))
    assert found == {"i-node": Window(2.0, 0.25 * 15 * 1024, 0.1 * 140 * 1024, 600, 1200)}


def test_a_minute_of_a_sql_server_is_what_is_not_free_and_bytes_a_second() -> None:
    counted = watched(stack("geo-i"), [], HOSTS)
    free: Mapping[Figure, float] = {"cpu": 50, "memory": 100 * 2**30, "disk": 60 * 2**30, "in": 10, "out": 20}
    values = {("isochrone-geo-i-sql", figure): {NOON: value} for figure, value in free.items()}
    (found,) = cloudwatch.windows(counted, values, range(NOON, NOON + 60, 60))
    assert found == {"isochrone-geo-i-sql": Window(8.0, 28 * 1024, 40 * 1024, 600, 1200)}


@pytest.mark.parametrize("lacking", ["cpu", "memory", "disk", "in", "out"])
def test_a_minute_in_which_something_is_not_known_is_left_out(lacking: Figure) -> None:
    counted = watched(stack("geo-i"), [NODE], {})
    values = minute({figure: value for figure, value in EVERYTHING.items() if figure != lacking})
    assert cloudwatch.windows(counted, values, range(NOON, NOON + 60, 60)) == []


def put(cloud: Cloud, counted: Watched, figure: Figure, at: int, value: float) -> None:
    metric = counted.metrics[figure]
    cloud.client("cloudwatch", counted.region).put_metric_data(
        Namespace=metric.namespace,
        MetricData=[
            {
                "MetricName": metric.name,
                "Dimensions": [{"Name": metric.dimension, "Value": metric.value}],
                "Timestamp": datetime.fromtimestamp(at, UTC),
                "Value": value,
            }
        ],
    )


def test_two_minutes_of_two_machines_in_two_regions_are_read(cloud: Cloud) -> None:
    here, there = watched(
        stack("geo-i"), [NODE, replace(NODE, region="us-east-1", instance_id="i-there")], {}
    )
    minutes = range(NOON, NOON + 120, 60)
    for counted, factor in ((here, 1.0), (there, 2.0)):
        for at in minutes:
            for figure, value in EVERYTHING.items():
                put(cloud, counted, figure, at, factor * value)
    # What was before and after the run is not its.
    put(cloud, here, "cpu", NOON - 60, 99)
    put(cloud, here, "cpu", NOON + 120, 99)
    found = cloudwatch.await_windows(
        cloud.client, [here, there], minutes, lambda _: pytest.fail("all is there")
    )
    assert [set(window) for window in found] == [{"i-node", "i-there"}] * 2
    assert [window["i-node"].cpu_cores for window in found] == [2.0, 2.0]
    assert [window["i-there"].network_in_bytes for window in found] == [1200, 1200]


def test_a_minute_that_comes_late_is_waited_for(cloud: Cloud) -> None:
    (node,) = watched(stack("geo-i"), [NODE], {})
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        for figure, value in EVERYTHING.items():
            put(cloud, node, figure, NOON, value)

    found = cloudwatch.await_windows(cloud.client, [node], range(NOON, NOON + 60, 60), sleep)
    assert len(found) == len(waits) == 1


def test_a_minute_that_never_comes_is_not_waited_for_without_end(cloud: Cloud) -> None:
    (node,) = watched(stack("geo-i"), [NODE], {})
    waits: list[float] = []
    found = cloudwatch.await_windows(
        cloud.client, [node], range(NOON, NOON + 60, 60), waits.append, patience_s=60
    )
    assert found == []
    assert sum(waits) == 60
