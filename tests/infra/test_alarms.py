"""What is watched on each machine of an architecture, and when the operators are told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.alarms import AlarmSpec, alarms
from infra.architecture import Alarms
from infra.flows import Place
from infra.log_names import log_group_name, logged_places
from infra.metric_names import CUSTOM_METRICS, machine_name
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")


def site(stack: str, **changes: Any) -> Site:
    return Site(replace(load(stack, ROOT), **changes))


def by_name(its_site: Site) -> dict[str, AlarmSpec]:
    """The alarms by their names, without the part that is the stack's."""
    return {alarm.name.removeprefix(its_site.name("")): alarm for alarm in alarms(its_site)}


def keys(its_site: Site, place: Place) -> set[str]:
    return {alarm.watch.key for alarm in alarms(its_site) if alarm.subject.place == place}


@pytest.mark.parametrize("stack", STACKS)
def test_every_node_group_is_watched_for_all_that_users_would_feel(stack: str) -> None:
    its_site = site(stack)
    for region in its_site.architecture.nodes.regions:
        assert keys(its_site, Place("node", region)) >= {
            "cpu",
            "memory",
            "disk",
            "connections",
            "accept-overflows",
            "broadcast-late",
        }


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        ("baseline", Place("node", "eu-west-1")),
        ("geo-i", Place("core", "eu-west-1")),
        ("geo-ii", Place("core", "eu-west-1")),
    ],
)
def test_the_backlog_is_watched_once_where_the_ledger_runs(stack: str, place: Place) -> None:
    found = [a for a in alarms(site(stack)) if a.watch.key == "ledger-backlog"]
    assert [a.subject.place for a in found] == [place]
    assert found[0].watch.missing == "breaching"


def test_every_replica_is_watched_in_its_own_region_for_lag_and_for_having_stopped() -> None:
    its_site = site("geo-ii")
    for key in ("replica-lag", "replica-stopped"):
        found = [a for a in alarms(its_site) if a.watch.key == key]
        assert [a.region for a in found] == list(its_site.architecture.sql_placement.source_of)
        assert {a.watch.series.metric for a in found} == {"ReplicaLag"}
    assert not keys(its_site, Place("sql", "eu-west-1")) & {"replica-lag", "replica-stopped"}


def test_a_replica_that_reports_minus_one_has_stopped() -> None:
    watch = by_name(site("geo-ii"))["sql-sa-east-1-replica-stopped"].watch
    assert (watch.comparison, watch.threshold, watch.series.statistic) == ("LessThanThreshold", 0, "Minimum")


def test_the_data_machines_at_home_are_watched() -> None:
    its_site = site("geo-ii")
    assert keys(its_site, Place("redis", "eu-west-1")) == {"status", "cpu", "memory", "disk"}
    assert keys(its_site, Place("sql", "eu-west-1")) == {"cpu", "storage", "connections"}
    assert keys(its_site, Place("core", "eu-west-1")) == {"cpu", "memory", "disk", "ledger-backlog"}
    assert keys(its_site, Place("monitoring", "eu-west-1")) == {"status", "memory", "disk"}


def test_every_redis_machine_is_watched_by_itself() -> None:
    redis = replace(load("geo-ii", ROOT).redis, standbys=2)
    its_site = site("geo-ii", redis=redis, zones=3)
    found = [a for a in alarms(its_site) if a.subject.place.role == "redis" and a.watch.key == "memory"]
    assert [a.subject.machine for a in found] == [0, 1, 2]


def test_redis_is_busy_when_one_of_its_two_cores_is() -> None:
    found = by_name(site("geo-ii", alarms=Alarms(cpu_percent=80)))
    assert found["redis-eu-west-1-0-cpu"].watch.threshold == 40
    assert found["node-eu-west-1-cpu"].watch.threshold == 80


@pytest.mark.parametrize(
    ("threshold", "alarm", "expected"),
    [
        ({"cpu_percent": 50}, "core-eu-west-1-cpu", 50),
        ({"memory_percent": 50}, "node-sa-east-1-memory", 50),
        ({"disk_percent": 50}, "node-sa-east-1-disk", 50),
        ({"disk_percent": 75}, "sql-eu-west-1-storage", 25 * 1024**3),
        ({"connections_percent": 50}, "node-sa-east-1-connections", 50),
        ({"connections_percent": 50}, "sql-eu-west-1-connections", 250),
        ({"accept_overflows": 7}, "node-sa-east-1-accept-overflows", 7),
        ({"replica_lag_s": 7}, "sql-sa-east-1-replica-lag", 7),
        ({"ledger_backlog": 7}, "core-eu-west-1-ledger-backlog", 7),
        ({"broadcast_late_ms": 7}, "node-sa-east-1-broadcast-late", 7),
    ],
)
def test_the_stack_file_sets_the_threshold(threshold: dict[str, Any], alarm: str, expected: float) -> None:
    assert by_name(site("geo-ii", alarms=Alarms(**threshold)))[alarm].watch.threshold == expected


def test_late_broadcasts_are_judged_by_the_98th_percentile() -> None:
    series = by_name(site("geo-i"))["node-eu-west-1-broadcast-late"].watch.series
    assert (series.namespace, series.metric, series.statistic) == ("Isochrone", "BroadcastLateMs", "p98")


@pytest.mark.parametrize("stack", STACKS)
def test_no_two_alarms_have_the_same_name_and_all_say_whose_they_are(stack: str) -> None:
    its_site = site(stack)
    names = Counter(alarm.name for alarm in alarms(its_site))
    assert max(names.values()) == 1
    assert all(name.startswith(f"isochrone-{stack}-") for name in names)


@pytest.mark.parametrize("stack", STACKS)
def test_a_metric_of_our_own_is_one_that_machines_report(stack: str) -> None:
    known = {metric.name for metric in CUSTOM_METRICS}
    series = [alarm.watch.series for alarm in alarms(site(stack))]
    ours = {s.metric for s in series if s.namespace == "Isochrone"}
    assert ours <= known
    assert {s.namespace for s in series} <= {"Isochrone", "AWS/EC2", "AWS/RDS"}


def test_a_percentile_is_asked_only_of_a_metric_that_reports_every_event() -> None:
    spread = {metric.name for metric in CUSTOM_METRICS if metric.spread}
    for stack in STACKS:
        for alarm in alarms(site(stack)):
            if alarm.watch.series.statistic.startswith("p"):
                assert alarm.watch.series.metric in spread


def test_a_machine_reports_under_a_name_of_its_own() -> None:
    assert machine_name(site("geo-ii"), "redis", 1) == "isochrone-geo-ii-redis-1"


def test_every_machine_of_ours_has_a_log_group_in_its_region() -> None:
    its_site = site("geo-ii")
    assert logged_places(its_site) == (
        *(Place("node", region) for region in its_site.architecture.nodes.regions),
        Place("core", "eu-west-1"),
        Place("redis", "eu-west-1"),
        Place("monitoring", "eu-west-1"),
    )
    assert log_group_name(its_site, "core") == "/isochrone/geo-ii/core"
