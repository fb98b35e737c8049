"""What AWS refuses of groups of machines because of what is there already, or is not, and moto takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import scaling
from tests.infra.cloud.used_account import World


def group(world: World, **other: Any) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": "others",
        "MinSize": 1,
        "MaxSize": 2,
        "LaunchTemplate": {"LaunchTemplateId": world.template, "Version": "1"},
        **other,
    }


def test_a_group_in_the_wrong_form(world: World) -> None:
    scaling.group_in_wrong_form(world.home, group(world), world.subnets)
    for bad, message in (
        ({"MinSize": 3}, "at least 3 and at most 2"),
        ({"DesiredCapacity": 5}, "5 machines are not between"),
        ({"AutoScalingGroupName": "nodes"}, "has a group nodes already"),
        ({"HealthCheckType": "HTTP"}, "no kind of health check"),
        ({"TerminationPolicies": ["Oldest"]}, "Oldest is no termination policy"),
        ({"LaunchTemplate": {"LaunchTemplateId": world.template, "Version": "7"}}, "7"),
        ({"LaunchTemplate": {}}, "has a launch template"),
    ):
        with pytest.raises(Exception, match=message):
            scaling.group_in_wrong_form(world.home, group(world, **bad), world.subnets)
    with pytest.raises(RefusedError, match="one network"):
        scaling.group_in_wrong_form(world.home, group(world), [world.subnets[0], world.other_subnet])


def test_a_policy_hook_or_schedule_of_no_group(world: World) -> None:
    scaling.no_group(world.home, "nodes")
    with pytest.raises(RefusedError, match="us-east-1 has no group nodes"):
        scaling.no_group(world.away, "nodes")


def test_a_scaling_policy_in_the_wrong_form(world: World) -> None:
    good = {
        "PolicyName": "out",
        "AutoScalingGroupName": "nodes",
        "PolicyType": "SimpleScaling",
        "AdjustmentType": "ChangeInCapacity",
        "ScalingAdjustment": 1,
    }
    target = {"TargetValue": 0, "CustomizedMetricSpecification": {"Statistic": "Average"}}
    scaling.policy_in_wrong_form(world.home, good)
    for bad, message in (
        ({"PolicyType": "Simple"}, "no kind of policy"),
        ({"AdjustmentType": "Change"}, "no kind of adjustment"),
        ({"TargetTrackingConfiguration": target}, "TargetTrackingConfiguration"),
    ):
        with pytest.raises(RefusedError, match=message):
            scaling.policy_in_wrong_form(world.home, {**good, **bad})
    tracking = {
        "PolicyName": "track",
        "AutoScalingGroupName": "nodes",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": target,
    }
    with pytest.raises(RefusedError, match="0 is no target"):
        scaling.policy_in_wrong_form(world.home, tracking)
    world.home.client("autoscaling").put_scaling_policy(**good)
    with pytest.raises(RefusedError, match="has a policy out already"):
        scaling.policy_in_wrong_form(world.home, good)


def test_a_schedule_in_the_wrong_form(world: World) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    good = {
        "AutoScalingGroupName": "nodes",
        "ScheduledActionName": "final",
        "StartTime": soon.isoformat(),
        "MinSize": 1,
        "MaxSize": 2,
        "DesiredCapacity": 2,
    }
    scaling.schedule_in_wrong_form(world.home, good)
    for bad, message in (
        ({"StartTime": "2020-01-01T00:00:00+00:00"}, "has passed"),
        ({"EndTime": (soon - timedelta(hours=1)).isoformat()}, "ends after its start"),
        ({"MinSize": 3}, "at least 3"),
    ):
        with pytest.raises(RefusedError, match=message):
            scaling.schedule_in_wrong_form(world.home, {**good, **bad})
    world.home.client("autoscaling").put_scheduled_update_group_action(**good)
    with pytest.raises(RefusedError, match="has an action at"):
        scaling.schedule_in_wrong_form(world.home, {**good, "ScheduledActionName": "other"})
