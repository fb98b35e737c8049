"""What holds of the names, the scaling and the watching of every stack."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi import _types

from infra.flows import HTTPS_PORT, places
from infra.geolocation import USERS_IN
from infra.group_names import POOL_TAG, pool_name
from infra.log_names import log_group_name, logged_places
from infra.regions import REGIONS, matrix
from infra.routing import resolves_to
from tests.infra.cloud.refusals.dns import dotted, records_of
from tests.infra.cloud.registry import Place as At
from tests.infra.cloud.view import View

MATRIX: Final = "2024"

UNTAGGED: Final = {"aws:ec2/launchTemplate:LaunchTemplate"}
"""What has no tags of its own: a moto server gives a template's to what it launches."""


def records(view: View, name: str) -> list[Mapping[str, Any]]:
    """The address records of a name in the stack's zone."""
    at = At(view.declared.account, view.site.home)
    found = records_of(at, zone_id(view))
    return [record for record in found if record["Name"] == dotted(name) and record["Type"] == "A"]


def zone_id(view: View) -> str:
    """The hosted zone of the domain."""
    (zone,) = view.client("route53").list_hosted_zones_by_name(DNSName=view.site.architecture.domain)[
        "HostedZones"
    ]
    found: str = zone["Id"].removeprefix("/hostedzone/")
    return found


def pool(view: View, region: str) -> set[str]:
    """The public addresses of a region's nodes."""
    found = view.client("ec2", region).describe_addresses(
        Filters=[{"Name": f"tag:{POOL_TAG}", "Values": [pool_name(view.site, region)]}]
    )["Addresses"]
    return {address["PublicIp"] for address in found}


def chosen(view: View, user: str) -> Mapping[str, Any]:
    """The record of the play name with which Route 53 answers the users of a region."""
    found = records(view, view.site.play_name)
    if "Region" in found[0]:
        return min(found, key=lambda record: matrix(MATRIX).rtt_ms[user, record["Region"]])
    if "GeoLocation" in found[0]:
        by_place = {tuple(sorted(record["GeoLocation"].items())): record for record in found}
        return next(by_place[place] for place in _around(user) if place in by_place)
    return found[0]


def _around(user: str) -> Iterator[tuple[tuple[str, str], ...]]:
    place = USERS_IN[user]
    if place.state:
        yield (("CountryCode", str(place.country)), ("SubdivisionCode", place.state))
    yield (("CountryCode", str(place.country)),)
    yield (("ContinentCode", place.continent),)
    yield (("CountryCode", "*"),)


def alarms(view: View, region: str) -> Sequence[Mapping[str, Any]]:
    """The alarms in a region."""
    pages = view.client("cloudwatch", region).get_paginator("describe_alarms").paginate()
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


class EveryWatch:
    def test_users_are_sent_to_the_nodes_of_the_region_that_the_architecture_says(self, view: View) -> None:
        expected = resolves_to(view.site.architecture, matrix(MATRIX))
        for user in REGIONS:
            target = chosen(view, user)["AliasTarget"]
            assert target["EvaluateTargetHealth"]
            addresses = {
                value["Value"]
                for record in records(view, target["DNSName"])
                for value in record["ResourceRecords"]
            }
            assert addresses == pool(view, expected[user])

    def test_each_regional_name_answers_several_addresses_each_with_its_own_check(self, view: View) -> None:
        checks = {
            c["Id"]: c["HealthCheckConfig"]
            for c in view.client("route53").list_health_checks()["HealthChecks"]
        }
        for region in view.site.architecture.nodes.regions:
            name = view.site.regional_name(region)
            found = records(view, name)
            assert {record["ResourceRecords"][0]["Value"] for record in found} == pool(view, region)
            for record in found:
                check = checks[record["HealthCheckId"]]
                assert record["MultiValueAnswer"]
                assert record["TTL"] == view.site.architecture.routing.ttl_s
                assert check["IPAddress"] == record["ResourceRecords"][0]["Value"]
                assert (check["Type"], check["Port"], check["ResourcePath"]) == (
                    "HTTPS",
                    HTTPS_PORT,
                    "/healthz",
                )
                assert (check["FullyQualifiedDomainName"], check["EnableSNI"]) == (name, True)

    def test_a_node_region_has_one_record_for_the_play_name_in_a_latency_policy(self, view: View) -> None:
        a = view.site.architecture
        found = records(view, view.site.play_name)
        if a.routing.policy == "latency":
            assert sorted(record["Region"] for record in found) == sorted(a.nodes.regions)
        if a.routing.policy == "simple":
            assert len(found) == 1

    def test_groups_of_nodes_scale_by_one_way_bound_to_its_alarms(self, view: View) -> None:
        a = view.site.architecture
        holds_data = "node" in (a.redis.placement, a.sql.placement)
        for region in a.nodes.regions:
            (group,) = view.groups(region, "node")
            name = group["AutoScalingGroupName"]
            policies = view.client("autoscaling", region).describe_policies(AutoScalingGroupName=name)[
                "ScalingPolicies"
            ]
            kinds = sorted(policy["PolicyType"] for policy in policies)
            if holds_data:
                assert kinds == []
            elif a.nodes.scaling.policy == "connections":
                assert kinds == ["TargetTrackingScaling"]
                target = policies[0]["TargetTrackingConfiguration"]
                assert target["TargetValue"] == a.nodes.scaling.connections_per_node
                assert target["CustomizedMetricSpecification"]["Dimensions"] == [
                    {"Name": "AutoScalingGroupName", "Value": name}
                ]
            else:
                assert kinds == ["SimpleScaling", "SimpleScaling"]
                assert {policy["ScalingAdjustment"] for policy in policies} == {1, -1}
            for policy in policies if kinds == ["SimpleScaling", "SimpleScaling"] else []:
                (alarm,) = [x for x in alarms(view, region) if policy["PolicyARN"] in x["AlarmActions"]]
                assert alarm["Dimensions"] == [{"Name": "AutoScalingGroupName", "Value": name}]
                grows = policy["ScalingAdjustment"] > 0
                assert alarm["ComparisonOperator"].startswith("Greater" if grows else "Less")
                threshold = a.nodes.scaling.out_cpu_percent if grows else a.nodes.scaling.in_cpu_percent
                assert alarm["Threshold"] == threshold

    def test_every_other_alarm_tells_the_topic_of_its_region(self, view: View) -> None:
        for region in view.site.regions:
            if not alarms(view, region):
                assert {p.role for p in places(view.site.architecture) if p.region == region} == {"load"}
                assert view.client("sns", region).list_topics()["Topics"] == []
                continue
            (topic,) = view.client("sns", region).list_topics()["Topics"]
            assert topic["TopicArn"].split(":")[3] == region
            told = [
                alarm for alarm in alarms(view, region) if "scalingPolicy" not in str(alarm["AlarmActions"])
            ]
            assert told
            for alarm in told:
                assert alarm["AlarmActions"] == alarm["OKActions"] == [topic["TopicArn"]]

    def test_every_alarm_is_of_something_that_there_is(self, view: View) -> None:
        a = view.site.architecture
        for region in view.site.regions:
            there = {
                g["AutoScalingGroupName"] for role in ("node", "core") for g in view.groups(region, role)
            }
            if region == a.home:
                machines = [*view.instances("redis"), *view.instances("monitoring")]
                there |= {machine["InstanceId"] for machine in machines}
                there |= {tag["Value"] for m in machines for tag in m["Tags"] if tag["Key"] == "Name"}
            there |= {
                s["DBInstanceIdentifier"]
                for s in view.client("rds", region).describe_db_instances()["DBInstances"]
            }
            for alarm in alarms(view, region):
                assert {dimension["Value"] for dimension in alarm["Dimensions"]} <= there, alarm["AlarmName"]

    def test_the_address_of_the_operators_hears_of_every_region_with_alarms(self, view: View) -> None:
        email = view.site.architecture.alarms.email
        for region in view.site.regions:
            wanted = [("email", email)] if email and alarms(view, region) else []
            found = view.client("sns", region).list_subscriptions()["Subscriptions"]
            assert [(s["Protocol"], s["Endpoint"]) for s in found] == wanted

    def test_logs_of_every_machine_are_kept_for_the_days_of_the_file(self, view: View) -> None:
        wanted = {(place.region, log_group_name(view.site, place.role)) for place in logged_places(view.site)}
        found = {
            (region, group["logGroupName"])
            for region in REGIONS
            for group in view.client("logs", region).describe_log_groups()["logGroups"]
            if group.get("retentionInDays") == view.site.architecture.monitoring.log_days
        }
        assert found == wanted

    def test_one_dashboard_shows_all_regions(self, view: View) -> None:
        cloudwatch = view.client("cloudwatch")
        (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
        body = json.loads(cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
        text = json.dumps(body)
        for place in places(view.site.architecture):
            assert place.region in text or place.role == "load"

    def test_everything_that_can_have_tags_says_whose_it_is(self, view: View) -> None:
        for resource in view.declared.resources:
            if resource.type in UNTAGGED or not has_tags(resource.type):
                continue
            given = resource.inputs.get("tags", {})
            tags = {tag["key"]: tag["value"] for tag in given} if isinstance(given, list) else given
            assert tags.get("isochrone:stack") == view.site.architecture.name, resource.name
            assert tags.get("isochrone:managed-by") == "pulumi", resource.name
            assert tags.get("Name", "").startswith(f"isochrone-{view.site.architecture.name}-"), resource.name


def has_tags(type_: str) -> bool:
    """Whether resources of a type can have tags, by the provider's schema."""
    _, module, name = type_.split(":")
    python = importlib.import_module(f"pulumi_aws.{module.partition('/')[0]}")
    return "tags" in _types.resource_types(getattr(python, name))
