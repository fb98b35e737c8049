"""A region's nodes and the core: template, group, addresses, draining, scaling and schedules."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.architecture import Architecture, ScheduledCapacity, Volume
from infra.core_group import CoreGroup, CoreGroupArgs, NoCoreError
from infra.declaration import Declaration, of_type
from infra.machine_group import DRAIN_S, LAUNCH_S, root_volume
from infra.network import RegionNetwork, RegionNetworkArgs
from infra.node_group import NodeGroup, NodeGroupArgs
from infra.offline import declare
from infra.rules import rules
from infra.site import Site
from infra.stackfile import load
from tests.infra.options import depended_on, options

ROOT = Path(__file__).parents[2]
REGION = "ap-southeast-2"
NAME = f"isochrone-geo-i-node-{REGION}"
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
FAR = datetime(2999, 1, 1, tzinfo=UTC)
FURTHER = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)


def geo(**nodes: Any) -> Architecture:
    architecture = load("geo-i", ROOT)
    return replace(architecture, nodes=replace(architecture.nodes, **nodes))


def scaled(**scaling: Any) -> Architecture:
    return geo(scaling=replace(load("geo-i", ROOT).nodes.scaling, **scaling))


def make_nodes(site: Site, region: str) -> NodeGroup:
    network = RegionNetwork(region, RegionNetworkArgs(site, region, rules(site)))
    return NodeGroup(
        f"nodes-{region}", NodeGroupArgs(site, network, "ami-1", "the-profile", '{"schema":1,"é":2}')
    )


def declared(architecture: Architecture, region: str = REGION) -> Declaration:
    def program() -> None:
        nodes = make_nodes(Site(architecture), region)
        pulumi.export("group", nodes.group_name)
        pulumi.export("arn", nodes.group_arn)
        pulumi.export("addresses", nodes.addresses)

    return declare(architecture.name, {}, program)


def the(found: Declaration, type_: str) -> Mapping[str, Any]:
    (only,) = of_type(found.resources, type_)
    return only.inputs


def all_of(found: Declaration, type_: str) -> list[Mapping[str, Any]]:
    return [resource.inputs for resource in of_type(found.resources, type_)]


def hooks(found: Declaration) -> dict[str, Mapping[str, Any]]:
    return {hook["name"]: hook for hook in all_of(found, HOOK)}


TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
POLICY = "aws:autoscaling/policy:Policy"
SCHEDULE = "aws:autoscaling/schedule:Schedule"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
ADDRESS = "aws:ec2/eip:Eip"


def test_all_of_a_group_is_in_its_region() -> None:
    for type_ in (TEMPLATE, GROUP, HOOK, POLICY, ALARM, ADDRESS):
        assert {inputs["region"] for inputs in all_of(declared(geo()), type_)} == {REGION}, type_


def test_a_node_boots_the_image_on_the_ordered_type_with_its_profile_and_its_document() -> None:
    template = the(declared(geo()), TEMPLATE)
    assert template["imageId"] == "ami-1"
    assert template["instanceType"] == "m3.xlarge"
    assert template["iamInstanceProfile"] == {"name": "the-profile"}
    assert base64.b64decode(template["userData"]).decode() == '{"schema":1,"é":2}'
    assert template["monitoring"] == {"enabled": True}
    assert template["updateDefaultVersion"] is True


def test_current_hardware_orders_the_current_type() -> None:
    template = the(declared(replace(geo(), hardware="current")), TEMPLATE)
    assert template["instanceType"] == "m6i.xlarge"


def test_metadata_needs_a_token_that_does_not_leave_the_machine() -> None:
    assert the(declared(geo()), TEMPLATE)["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpProtocolIpv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
        "instanceMetadataTags": "enabled",
    }


def test_a_node_has_the_thesis_disk_encrypted() -> None:
    (mapping,) = the(declared(geo()), TEMPLATE)["blockDeviceMappings"]
    assert mapping["deviceName"] == "/dev/xvda"
    assert mapping["ebs"] == {
        "deleteOnTermination": "true",
        "encrypted": "true",
        "iops": 4000,
        "volumeSize": 140,
        "volumeType": "gp3",
    }


@pytest.mark.parametrize(
    ("volume", "kind", "iops"),
    [
        (Volume(20), "gp3", None),
        (Volume(20, 1000), "gp3", 3000),
        (Volume(140, 4000), "gp3", 4000),
        (Volume(320, 16_000), "gp3", 16_000),
        (Volume(640, 32_000), "io1", 32_000),
    ],
)
def test_a_root_volume_has_at_least_the_operations_that_are_ordered(
    volume: Volume, kind: str, iops: int | None
) -> None:
    made = root_volume(volume, keep=False)
    assert (made.volume_type, made.volume_size, made.iops) == (kind, volume.size_gib, iops)
    assert made.encrypted == "true"


@pytest.mark.parametrize(("protect", "kept"), [(True, "false"), (False, "true")])
def test_the_disk_of_a_node_with_the_data_outlives_it_unless_nothing_is_protected(
    protect: bool, kept: str
) -> None:
    found = declared(replace(load("baseline", ROOT), protect=protect), "eu-west-1")
    (mapping,) = the(found, TEMPLATE)["blockDeviceMappings"]
    assert mapping["ebs"]["deleteOnTermination"] == kept


def test_to_protect_a_stack_does_not_replace_the_node_that_has_its_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    templates = options(monkeypatch, aws.ec2.LaunchTemplate)
    declared(load("baseline", ROOT), "eu-west-1")
    (template,) = templates.values()
    assert template.ignore_changes == ["blockDeviceMappings[0].ebs.deleteOnTermination"]


def test_a_node_has_a_public_address_at_launch_and_the_rules_of_nodes() -> None:
    (interface,) = the(declared(geo()), TEMPLATE)["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "true"
    assert interface["securityGroups"] == [f"{REGION}-node.id"]


def test_what_is_launched_says_whose_it_is_and_what_for() -> None:
    found = declared(geo())
    template, group = the(found, TEMPLATE), the(found, GROUP)
    assert {s["resourceType"] for s in template["tagSpecifications"]} == {
        "instance",
        "volume",
        "network-interface",
    }
    for tags in (s["tags"] for s in template["tagSpecifications"]):
        assert (tags["isochrone:stack"], tags["isochrone:role"]) == ("geo-i", "node")
        assert {tag["key"]: tag["value"] for tag in group["tags"]} == tags
    assert all(tag["propagateAtLaunch"] for tag in group["tags"])


def test_the_group_has_the_nodes_of_the_stack_file_in_all_public_subnets() -> None:
    found = declared(geo(per_region=2, scaling=replace(geo().nodes.scaling, minimum=1, maximum=5)))
    group = the(found, GROUP)
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (1, 2, 5)
    assert group["vpcZoneIdentifiers"] == [f"{REGION}-public-0.id", f"{REGION}-public-1.id"]
    assert group["name"] == NAME
    assert found.exports["group"] == NAME
    assert found.exports["arn"]


def test_a_new_template_replaces_the_nodes_one_by_one_a_new_one_first() -> None:
    group = the(declared(geo()), GROUP)
    assert group["launchTemplate"]["version"] == "1"
    assert group["instanceRefresh"]["strategy"] == "Rolling"
    preferences = group["instanceRefresh"]["preferences"]
    assert (preferences["minHealthyPercentage"], preferences["maxHealthyPercentage"]) == (100, 110)


@pytest.mark.parametrize("elsewhere", ["redis", "sql"])
def test_a_new_template_does_not_replace_a_node_that_has_data(elsewhere: str) -> None:
    baseline = load("baseline", ROOT)
    tier = replace(getattr(baseline, elsewhere), placement="home")
    found = declared(replace(baseline, **{elsewhere: tier}), "eu-west-1")
    assert "instanceRefresh" not in the(found, GROUP)


def test_pulumi_does_not_wait_for_nodes_and_lets_them_end_before_what_they_use() -> None:
    group = the(declared(geo()), GROUP)
    assert group["waitForCapacityTimeout"] == "0"
    assert group["forceDelete"] is False


def test_a_node_that_is_to_go_has_time_to_drain_and_goes_anyway() -> None:
    hook = hooks(declared(geo()))["drain"]
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (hook["heartbeatTimeout"], hook["defaultResult"]) == (300, "CONTINUE")
    assert hook["autoscalingGroupName"] == NAME


def test_a_new_node_counts_when_it_has_said_that_it_can_serve_and_else_is_given_up() -> None:
    hook = hooks(declared(geo()))["launch"]
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert (hook["heartbeatTimeout"], hook["defaultResult"]) == (900, "ABANDON")
    assert hook["autoscalingGroupName"] == NAME


def test_a_node_with_the_data_is_not_given_up_at_its_launch() -> None:
    assert set(hooks(declared(load("baseline", ROOT), "eu-west-1"))) == {"drain"}


def test_the_hooks_go_with_the_group_which_has_the_time_they_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = options(monkeypatch, aws.autoscaling.Group)
    found = options(monkeypatch, aws.autoscaling.LifecycleHook)
    declared(geo())
    (group,) = groups.values()
    assert group.custom_timeouts is not None
    seconds = re.fullmatch(r"(\d+)s", group.custom_timeouts.delete or "")
    assert seconds
    assert int(seconds[1]) > LAUNCH_S + DRAIN_S
    assert len(found) == 2
    for hook in found.values():
        assert hook.deleted_with is not None
        assert hook.deleted_with._name in groups


def test_the_pool_has_an_address_for_every_node_that_there_may_be() -> None:
    found = declared(scaled(maximum=3))
    pool = all_of(found, ADDRESS)
    assert len(pool) == len(set(found.exports["addresses"])) == 3
    assert {address["tags"]["isochrone:pool"] for address in pool} == {NAME}
    assert {address["tags"]["isochrone:stack"] for address in pool} == {"geo-i"}


def test_by_alarms_there_is_a_policy_out_and_one_in_each_on_its_own_alarm() -> None:
    found = declared(scaled(out_cpu_percent=75, in_cpu_percent=15, cooldown_s=120))
    policies = {policy["name"]: policy for policy in all_of(found, POLICY)}
    alarms = {alarm["alarmActions"][0].rpartition(":")[2]: alarm for alarm in all_of(found, ALARM)}
    assert len(policies) == len(alarms) == 2
    for direction, machines, comparison, threshold in (
        ("out", 1, "GreaterThanOrEqualToThreshold", 75),
        ("in", -1, "LessThanOrEqualToThreshold", 15),
    ):
        policy = policies[f"{NAME}-{direction}"]
        assert policy["policyType"] == "SimpleScaling"
        assert (policy["scalingAdjustment"], policy["cooldown"]) == (machines, 120)
        assert policy["autoscalingGroupName"] == NAME
        alarm = alarms[f"nodes-{REGION}-{direction}"]
        assert (alarm["comparisonOperator"], alarm["threshold"]) == (comparison, threshold)
        assert (alarm["namespace"], alarm["metricName"]) == ("AWS/EC2", "CPUUtilization")
        assert (alarm["statistic"], alarm["period"]) == ("Average", 60)
        assert alarm["dimensions"] == {"AutoScalingGroupName": NAME}
        assert alarm["name"] == f"{NAME}-scale-{direction}"


def test_by_connections_there_is_one_policy_that_tracks_them_and_no_alarm_of_ours() -> None:
    found = declared(scaled(policy="connections", connections_per_node=4000))
    policy = the(found, POLICY)
    assert policy["policyType"] == "TargetTrackingScaling"
    tracked = policy["targetTrackingConfiguration"]
    assert tracked["targetValue"] == 4000
    assert tracked["customizedMetricSpecification"] == {
        "metricDimensions": [{"name": "AutoScalingGroupName", "value": NAME}],
        "metricName": "Connections",
        "namespace": "Isochrone",
        "statistic": "Average",
    }
    assert not all_of(found, ALARM)


def test_a_node_with_the_data_is_not_scaled() -> None:
    found = declared(load("baseline", ROOT), "eu-west-1")
    assert not all_of(found, POLICY)
    assert not all_of(found, ALARM)
    assert len(all_of(found, ADDRESS)) == 1
    group = the(found, GROUP)
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (1, 1, 1)


def test_a_match_has_an_action_at_its_start_and_one_at_its_end() -> None:
    found = declared(geo(schedules=(ScheduledCapacity("final", FAR, FURTHER, 2),)))
    start, end = sorted(all_of(found, SCHEDULE), key=lambda action: str(action["startTime"]))
    assert (start["startTime"], end["startTime"]) == ("2999-01-01T00:00:00Z", "2999-01-02T03:04:05Z")
    assert (start["minSize"], start["maxSize"], start["desiredCapacity"]) == (2, 2, 2)
    assert (end["minSize"], end["maxSize"], end["desiredCapacity"]) == (1, 2, -1)
    assert (start["scheduledActionName"], start["autoscalingGroupName"]) == (f"{NAME}-final-start", NAME)
    assert not found.warnings


def test_what_has_passed_is_left_out_with_a_warning() -> None:
    found = declared(geo(schedules=(ScheduledCapacity("final", LONG_AGO, FAR, 2),)))
    (end,) = all_of(found, SCHEDULE)
    assert end["scheduledActionName"] == f"{NAME}-final-end"
    assert any("final-start" in warning for warning in found.warnings)
    assert the(found, GROUP)["minSize"] == 2


def test_at_its_expiry_a_stack_has_no_machines_any_more() -> None:
    action = the(declared(replace(geo(), expiry=FAR)), SCHEDULE)
    assert (action["minSize"], action["maxSize"], action["desiredCapacity"]) == (0, 0, 0)
    assert action["startTime"] == "2999-01-01T00:00:00Z"


def test_a_stack_that_has_expired_starts_no_machine() -> None:
    found = declared(replace(geo(), expiry=LONG_AGO))
    group = the(found, GROUP)
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (0, 0, 0)
    assert not all_of(found, SCHEDULE)
    assert found.warnings


def core_of(architecture: Architecture) -> Declaration:
    def program() -> None:
        site = Site(architecture)
        network = RegionNetwork("home", RegionNetworkArgs(site, site.home, rules(site)))
        core = CoreGroup("core", CoreGroupArgs(site, network, "ami-1", "core-profile", "{}"))
        pulumi.export("group", core.group_name)

    return declare(architecture.name, {}, program)


def test_the_core_is_two_machines_of_which_one_serves_while_they_are_replaced() -> None:
    found = core_of(geo())
    group, template = the(found, GROUP), the(found, TEMPLATE)
    assert found.exports["group"] == group["name"] == "isochrone-geo-i-core-eu-west-1"
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (2, 2, 2)
    assert group["instanceRefresh"]["preferences"]["minHealthyPercentage"] == 50
    assert group["instanceRefresh"]["preferences"]["maxHealthyPercentage"] == 100
    assert template["instanceType"] == "m3.medium"
    assert template["networkInterfaces"][0]["securityGroups"] == ["home-core.id"]
    assert template["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 20


def test_the_core_has_neither_a_fixed_public_address_nor_scaling() -> None:
    found = core_of(geo())
    assert not all_of(found, ADDRESS)
    assert not all_of(found, POLICY)
    assert set(hooks(found)) == {"drain", "launch"}


def test_the_core_expires_with_the_stack_and_has_no_match() -> None:
    schedules = (ScheduledCapacity("final", FAR, FURTHER, 2),)
    action = the(core_of(replace(geo(schedules=schedules), expiry=FURTHER)), SCHEDULE)
    assert action["scheduledActionName"] == "isochrone-geo-i-core-eu-west-1-expiry"
    assert action["maxSize"] == 0


def test_without_a_core_there_is_no_core_group() -> None:
    with pytest.raises(NoCoreError, match="the node does the core's work"):
        core_of(load("baseline", ROOT))


def test_an_address_goes_only_after_the_machines_that_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = options(monkeypatch, aws.autoscaling.Group)
    declared(scaled(maximum=3))
    (group,) = groups.values()
    assert depended_on(group) == [f"nodes-{REGION}-{number}" for number in range(3)]


def test_the_next_up_does_not_undo_what_scaling_did(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = options(monkeypatch, aws.autoscaling.Group)
    declared(geo())
    (group,) = groups.values()
    assert group.ignore_changes == ["desiredCapacity"]


def test_what_a_moto_server_makes_up_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    hooked = options(monkeypatch, aws.autoscaling.LifecycleHook)
    policies = options(monkeypatch, aws.autoscaling.Policy)
    found = declared(geo())
    assert [hook.ignore_changes for hook in hooked.values()] == [["notificationTargetArn", "roleArn"]] * 2
    assert len(policies) == 2
    for policy in policies.values():
        assert policy.ignore_changes == ["enabled", "predictiveScalingConfiguration"]
    assert "tags" not in the(found, TEMPLATE)
