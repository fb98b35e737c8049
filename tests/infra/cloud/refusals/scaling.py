"""Groups of machines that AWS refuses, and moto takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place

_GROUP_METRICS: Final = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
)
_TERMINATIONS: Final = (
    "Default",
    "OldestInstance",
    "NewestInstance",
    "OldestLaunchTemplate",
    "OldestLaunchConfiguration",
    "ClosestToNextInstanceHour",
    "AllocationStrategy",
)
_ADJUSTMENTS: Final = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
_TRANSITIONS: Final = ("autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING")


def group_in_wrong_form(place: Place, group: Mapping[str, Any], subnets: Sequence[str]) -> None:
    """A group's name is its own, its sizes are in order, its subnets are of one network in several zones."""
    name = group["AutoScalingGroupName"]
    check_text("the group's name", name, r"[^:]{1,255}")
    if _groups(place, name):
        raise RefusedError(f"{place.region} has a group {name} already")
    _check_sizes(group)
    if group.get("HealthCheckType", "EC2") not in ("EC2", "ELB", "EBS", "VPC_LATTICE"):
        raise RefusedError(f"{group['HealthCheckType']} is no kind of health check")
    if unknown := set(group.get("TerminationPolicies", [])) - set(_TERMINATIONS):
        raise RefusedError(f"{', '.join(sorted(unknown))} is no termination policy")
    found = place.client("ec2").describe_subnets(SubnetIds=list(subnets))["Subnets"]
    if len({subnet["VpcId"] for subnet in found}) != 1:
        raise RefusedError("a group is in one network")
    _check_template(place, group)


def _check_template(place: Place, group: Mapping[str, Any]) -> None:
    template = group.get("LaunchTemplate", {})
    if ("LaunchTemplateId" in template) == ("LaunchTemplateName" in template):
        raise RefusedError("a group has a launch template, by its id or its name")
    key = "LaunchTemplateId" if "LaunchTemplateId" in template else "LaunchTemplateName"
    versions = place.client("ec2").describe_launch_template_versions(
        **{key: template[key]}, Versions=[str(template.get("Version", "$Default"))]
    )["LaunchTemplateVersions"]
    if not versions:
        raise RefusedError(f"{template[key]} has no version {template.get('Version')}")


def _check_sizes(sizes: Mapping[str, Any], bounds: tuple[int, int] | None = None) -> None:
    low, high = bounds or (0, 0)
    least, most = sizes.get("MinSize", low), sizes.get("MaxSize", high)
    if not 0 <= least <= most:
        raise RefusedError(f"at least {least} and at most {most} machines")
    if not least <= sizes.get("DesiredCapacity", least) <= most:
        raise RefusedError(f"{sizes['DesiredCapacity']} machines are not between {least} and {most}")


def _groups(place: Place, name: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = place.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[name]
    )["AutoScalingGroups"]
    return found


def no_group(place: Place, name: str) -> None:
    """A policy, hook or schedule is of a group that exists in its region."""
    if not _groups(place, name):
        raise RefusedError(f"{place.region} has no group {name}")


def unknown_group_metrics(metrics: Sequence[str], granularity: str) -> None:
    """A group reports metrics that there are, every minute."""
    if unknown := set(metrics) - set(_GROUP_METRICS):
        raise RefusedError(f"a group has no metric {', '.join(sorted(unknown))}")
    if granularity != "1Minute":
        raise RefusedError(f"a group reports every 1Minute, not {granularity}")


def refresh_in_wrong_form(refresh: Mapping[str, Any]) -> None:
    """A group's machines are replaced in a rolling way, within percentages that leave a way."""
    if refresh.get("Strategy") not in ("Rolling", "ReplaceRootVolume"):
        raise RefusedError(f"{refresh.get('Strategy')} is no strategy of a refresh")
    preferences = refresh.get("Preferences", {})
    least, most = preferences.get("MinHealthyPercentage", 90), preferences.get("MaxHealthyPercentage")
    if not 0 <= least <= 100:
        raise RefusedError(f"at least {least} % of the machines")
    if most is not None and not (100 <= most <= 200 and most - least <= 100):
        raise RefusedError(f"at most {most} % of the machines, {least} % at least")
    if most == 100 and least == 100:
        raise RefusedError("a refresh needs a machine more or less")
    if triggers := set(refresh.get("Triggers", [])) & {"launch_template", "launchTemplate"}:
        raise RefusedError(f"the provider refuses the trigger {triggers.pop()}: it always is one")


def hook_in_wrong_form(hook: Mapping[str, Any]) -> None:
    """A hook is of a transition, ends in one of two ways, and waits 30 s to two hours."""
    check_text("the hook's name", hook["LifecycleHookName"], r"[A-Za-z0-9\-_/]{1,255}")
    if hook["LifecycleTransition"] not in _TRANSITIONS:
        raise RefusedError(f"{hook['LifecycleTransition']} is no transition")
    if hook.get("DefaultResult", "ABANDON") not in ("CONTINUE", "ABANDON"):
        raise RefusedError(f"{hook['DefaultResult']} is no result of a hook")
    if not 30 <= hook.get("HeartbeatTimeout", 3600) <= 7200:
        raise RefusedError(f"a hook cannot wait {hook['HeartbeatTimeout']} s")


def policy_in_wrong_form(place: Place, policy: Mapping[str, Any]) -> None:
    """A policy has what its kind needs, and nothing of the other kinds."""
    kind = policy.get("PolicyType", "SimpleScaling")
    same = place.client("autoscaling").describe_policies(
        AutoScalingGroupName=policy["AutoScalingGroupName"], PolicyNames=[policy["PolicyName"]]
    )
    if same["ScalingPolicies"]:
        raise RefusedError(f"the group has a policy {policy['PolicyName']} already")
    of_kind = {
        "SimpleScaling": {"AdjustmentType", "ScalingAdjustment", "Cooldown", "MinAdjustmentMagnitude"},
        "StepScaling": {
            "AdjustmentType",
            "StepAdjustments",
            "EstimatedInstanceWarmup",
            "MetricAggregationType",
            "MinAdjustmentMagnitude",
        },
        "TargetTrackingScaling": {"TargetTrackingConfiguration", "EstimatedInstanceWarmup"},
    }
    needed = {
        "SimpleScaling": {"AdjustmentType", "ScalingAdjustment"},
        "StepScaling": {"AdjustmentType", "StepAdjustments"},
        "TargetTrackingScaling": {"TargetTrackingConfiguration"},
    }
    if kind not in of_kind:
        raise RefusedError(f"{kind} is no kind of policy")
    given = set(policy) - {"PolicyName", "PolicyType", "AutoScalingGroupName", "Enabled"}
    if wrong := (given - of_kind[kind]) | (needed[kind] - given):
        raise RefusedError(f"{kind} has no, or lacks, {', '.join(sorted(wrong))}")
    if policy.get("AdjustmentType", _ADJUSTMENTS[0]) not in _ADJUSTMENTS:
        raise RefusedError(f"{policy['AdjustmentType']} is no kind of adjustment")
    if kind == "TargetTrackingScaling":
        _check_target(policy["TargetTrackingConfiguration"])


def _check_target(target: Mapping[str, Any]) -> None:
    if ("CustomizedMetricSpecification" in target) == ("PredefinedMetricSpecification" in target):
        raise RefusedError("a target is of one metric, customised or predefined")
    if target["TargetValue"] <= 0:
        raise RefusedError(f"{target['TargetValue']} is no target")
    metric = target.get("CustomizedMetricSpecification", {})
    if metric.get("Statistic", "Sum") not in ("Average", "Minimum", "Maximum", "SampleCount", "Sum"):
        raise RefusedError(f"{metric['Statistic']} is no statistic")


def schedule_in_wrong_form(place: Place, action: Mapping[str, Any]) -> None:
    """An action is in the future, at a time of its own, and its sizes are in order."""
    if not {"StartTime", "Recurrence"} & set(action):
        raise RefusedError("an action has a time or recurs")
    if not {"MinSize", "MaxSize", "DesiredCapacity"} & set(action):
        raise RefusedError("an action changes a size")
    (group,) = _groups(place, action["AutoScalingGroupName"])
    _check_sizes(action, (group["MinSize"], max(group["MaxSize"], action.get("MinSize", 0))))
    if "StartTime" in action and _time(action["StartTime"]) <= datetime.now(UTC):
        raise RefusedError(f"{action['StartTime']} has passed")
    if "EndTime" in action and _time(action["EndTime"]) <= _time(action["StartTime"]):
        raise RefusedError("an action ends after its start")
    others = place.client("autoscaling").describe_scheduled_actions(
        AutoScalingGroupName=action["AutoScalingGroupName"]
    )["ScheduledUpdateGroupActions"]
    for other in others:
        if other["ScheduledActionName"] == action["ScheduledActionName"]:
            raise RefusedError(f"the group has an action {action['ScheduledActionName']} already")
        if "StartTime" in other and other["StartTime"] == _time(action["StartTime"]):
            raise RefusedError(f"the group has an action at {action['StartTime']} already")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
