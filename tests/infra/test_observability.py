"""Alarms tell a topic of their own region, machines write to kept logs, one dashboard shows all regions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.alarms import alarms
from infra.architecture import Alarms, Monitoring
from infra.dashboard import dashboard_body, subjects
from infra.observability import Observability, ObservabilityArgs, UnnamedSubjectError, topic_policy
from infra.site import Site
from infra.stackfile import load
from tests.infra.recorded import ACCOUNT, Registered, of_type, registered

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")


def arguments(site: Site, **changes: Any) -> ObservabilityArgs:
    """All that a stack has, by made-up names."""
    architecture = site.architecture
    sql = architecture.sql.placement != "node"
    given = ObservabilityArgs(
        site=site,
        group_names={region: f"nodes-{region}" for region in architecture.nodes.regions},
        monitoring_instance_id="i-monitoring",
        sql_identifiers={
            region: f"sql-{region}"
            for region in ((site.home, *architecture.sql_placement.source_of) if sql else ())
        },
        redis_instance_ids=[f"i-redis-{number}" for number in range(1 + architecture.redis.standbys)],
        core_group_name="core" if architecture.core else None,
    )
    return replace(given, **changes)


def declared(stack: str, **changes: Any) -> list[Registered]:
    site = Site(replace(load(stack, ROOT), **changes))
    return registered(lambda: Observability("watch", arguments(site)))


@cache
def geo_ii() -> list[Registered]:
    return declared("geo-ii")


def inputs(resources: list[Registered], type_: str) -> Mapping[str, Mapping[str, Any]]:
    return {name: resource.inputs for name, resource in of_type(resources, type_).items()}


@pytest.mark.parametrize("stack", STACKS)
def test_every_region_with_machines_has_a_topic(stack: str) -> None:
    topics = inputs(declared(stack), "Topic").values()
    assert {topic["region"] for topic in topics} == set(Site(load(stack, ROOT)).regions)
    assert {topic["name"] for topic in topics} == {f"isochrone-{stack}-alarms"}


def test_a_topic_is_not_under_the_key_that_alarms_cannot_use() -> None:
    assert not [topic for topic in inputs(geo_ii(), "Topic").values() if "kmsMasterKeyId" in topic]


def test_only_the_stacks_own_alarms_publish_to_its_topic() -> None:
    policy = json.loads(inputs(geo_ii(), "TopicPolicy")["watch-sa-east-1"]["policy"])
    topic = f"arn:aws:sns:sa-east-1:{ACCOUNT}:watch-sa-east-1"
    assert policy == topic_policy(topic, "isochrone-geo-ii-")
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:sa-east-1:{ACCOUNT}:alarm:isochrone-geo-ii-*"},
    }


def test_an_address_subscribes_in_every_region() -> None:
    subscriptions = inputs(declared("geo-ii", alarms=Alarms(email="ops@market.example")), "TopicSubscription")
    assert len(subscriptions) == 8
    for subscription in subscriptions.values():
        assert (subscription["protocol"], subscription["endpoint"]) == ("email", "ops@market.example")
        assert f":{subscription['region']}:" in subscription["topic"]


def test_nobody_subscribes_without_an_address() -> None:
    assert not inputs(geo_ii(), "TopicSubscription")


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_tells_the_topic_of_its_region_when_it_begins_and_ends(stack: str) -> None:
    found = inputs(declared(stack), "MetricAlarm")
    assert {alarm["name"] for alarm in found.values()} == {a.name for a in alarms(Site(load(stack, ROOT)))}
    for alarm in found.values():
        region = alarm["region"]
        topic = f"arn:aws:sns:{region}:{ACCOUNT}:watch-{region}"
        assert alarm["alarmActions"] == alarm["okActions"] == [topic]


@pytest.mark.parametrize(
    ("alarm", "dimensions"),
    [
        ("node-sa-east-1-cpu", {"AutoScalingGroupName": "nodes-sa-east-1"}),
        ("core-eu-west-1-ledger-backlog", {"AutoScalingGroupName": "core"}),
        ("sql-us-east-1-replica-lag", {"DBInstanceIdentifier": "sql-us-east-1"}),
        ("redis-eu-west-1-0-cpu", {"InstanceId": "i-redis-0"}),
        ("redis-eu-west-1-0-memory", {"Machine": "isochrone-geo-ii-redis-0"}),
        ("monitoring-eu-west-1-status", {"InstanceId": "i-monitoring"}),
        ("monitoring-eu-west-1-disk", {"Machine": "isochrone-geo-ii-monitoring-0"}),
    ],
)
def test_an_alarm_watches_the_machine_that_it_is_named_after(alarm: str, dimensions: dict[str, str]) -> None:
    assert inputs(geo_ii(), "MetricAlarm")[f"watch-{alarm}"]["dimensions"] == dimensions


def test_an_alarm_asks_for_a_statistic_or_a_percentile_never_for_both() -> None:
    found = inputs(geo_ii(), "MetricAlarm")
    late = found["watch-node-eu-west-1-broadcast-late"]
    assert (late.get("statistic"), late["extendedStatistic"]) == (None, "p98")
    cpu = found["watch-node-eu-west-1-cpu"]
    assert (cpu["statistic"], cpu.get("extendedStatistic")) == ("Average", None)
    assert (cpu["threshold"], cpu["period"], cpu["evaluationPeriods"]) == (85, 300, 1)
    assert cpu["comparisonOperator"] == "GreaterThanThreshold"
    assert cpu["treatMissingData"] == "notBreaching"


def test_logs_are_kept_for_the_days_of_the_stack_file() -> None:
    groups = inputs(declared("geo-i", monitoring=Monitoring(log_days=90)), "LogGroup").values()
    assert {group["retentionInDays"] for group in groups} == {90}
    assert ("sa-east-1", "/isochrone/geo-i/node") in {(group["region"], group["name"]) for group in groups}
    assert len(groups) == 8 + 3


def test_what_can_be_tagged_says_whose_it_is() -> None:
    for resource in geo_ii():
        if resource.type.split(":")[-1] in ("Topic", "LogGroup", "MetricAlarm"):
            assert resource.inputs["tags"]["isochrone:stack"] == "geo-ii"


def test_a_machine_whose_name_is_not_given_is_refused() -> None:
    site = Site(load("geo-ii", ROOT))
    without = {"us-east-1": "sql-us-east-1"}
    with pytest.raises(UnnamedSubjectError, match="sql in eu-west-1 need its DBInstanceIdentifier"):
        registered(lambda: Observability("watch", arguments(site, sql_identifiers=without)))


def test_the_stack_has_one_dashboard_at_home_and_a_link_to_it() -> None:
    links: list[str] = []
    site = Site(load("geo-ii", ROOT))
    found = registered(lambda: links.append(Observability("watch", arguments(site)).dashboard_url))
    (dashboard,) = inputs(found, "Dashboard").values()
    assert (dashboard["region"], dashboard["dashboardName"]) == ("eu-west-1", "isochrone-geo-ii-overview")
    assert "nodes-sa-east-1" in dashboard["dashboardBody"]
    assert links == [
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#dashboards/dashboard/isochrone-geo-ii-overview"
    ]


def body(stack: str, **changes: Any) -> str:
    site = Site(replace(load(stack, ROOT), **changes))
    return dashboard_body(site, {s: f"{s.place.role}-{s.place.region}-{s.machine}" for s in subjects(site)})


def graphs(text: str) -> dict[str, Mapping[str, Any]]:
    widgets = json.loads(text)["widgets"]
    found = {w["properties"]["title"]: w["properties"] for w in widgets if w["type"] == "metric"}
    assert len(found) == len(widgets) - 1, "two graphs have the same title"
    return found


def test_the_dashboard_shows_every_node_region_in_one_graph() -> None:
    graph = graphs(body("geo-ii"))["Nodes: CPU, %"]
    assert len(graph["metrics"]) == 8
    assert graph["metrics"][-1] == [
        "AWS/EC2",
        "CPUUtilization",
        "AutoScalingGroupName",
        "node-sa-east-1-0",
        {"label": "São Paulo", "region": "sa-east-1"},
    ]
    assert graph["annotations"] == {"horizontal": [{"label": "alarm", "value": 85}]}
    assert (graph["stat"], graph["period"]) == ("Average", 300)


@pytest.mark.parametrize("stack", STACKS)
def test_the_dashboard_shows_everything_that_has_an_alarm(stack: str) -> None:
    shown = {(line[1], line[3]) for graph in graphs(body(stack)).values() for line in graph["metrics"]}
    for alarm in alarms(Site(load(stack, ROOT))):
        subject = alarm.subject
        name = f"{subject.place.role}-{subject.place.region}-{subject.machine}"
        assert (alarm.watch.series.metric, name) in shown


def test_the_dashboard_shows_connections_and_traffic_too() -> None:
    assert {"Nodes: Connections", "Nodes: Network in, bytes", "Nodes: Network out, bytes"} <= set(
        graphs(body("geo-i"))
    )


def test_several_redis_machines_have_labels_of_their_own() -> None:
    redis = replace(load("geo-ii", ROOT).redis, standbys=1)
    lines = graphs(body("geo-ii", redis=redis))["Redis: Memory, %"]["metrics"]
    assert [line[-1]["label"] for line in lines] == ["Ireland 1", "Ireland 2"]


def test_no_two_widgets_overlap_and_all_fit_the_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in json.loads(body("geo-ii"))["widgets"]:
        cells = {
            (widget["x"] + dx, widget["y"] + dy)
            for dx in range(widget["width"])
            for dy in range(widget["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_dashboard_is_written_as_the_provider_normalises_it_so_that_nothing_seems_changed() -> None:
    text = body("geo-ii", title="Reads < writes & more")
    plain = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text == plain.replace("&", "\\u0026").replace("<", "\\u003c")
    assert ".0," not in text
    assert "São Paulo" in text
