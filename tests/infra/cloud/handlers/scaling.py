"""Groups of machines: their size, their policies, hooks and schedules."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.account import ACCOUNT_ID
from tests.infra.cloud.inputs import Inputs
from tests.infra.cloud.refusals import scaling as refuse
from tests.infra.cloud.refusals.tags import check_tags
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:autoscaling/group:Group")
def group(place: Place, inputs: Inputs) -> Made:
    autoscaling = place.client("autoscaling")
    inputs.only("forceDelete", True, False)
    inputs.only("waitForCapacityTimeout", "0", "0s")
    params: dict[str, Any] = inputs.params(
        name="AutoScalingGroupName",
        minSize="MinSize",
        maxSize="MaxSize",
        desiredCapacity="DesiredCapacity",
        healthCheckType="HealthCheckType",
        healthCheckGracePeriod="HealthCheckGracePeriod",
        defaultCooldown="DefaultCooldown",
        defaultInstanceWarmup="DefaultInstanceWarmup",
        terminationPolicies="TerminationPolicies",
        maxInstanceLifetime="MaxInstanceLifetime",
        capacityRebalance="CapacityRebalance",
    )
    subnets = inputs.take("vpcZoneIdentifiers")
    if template := inputs.part("launchTemplate"):
        params["LaunchTemplate"] = template.params(
            id="LaunchTemplateId", name="LaunchTemplateName", version="Version"
        )
    if policy := inputs.part("instanceMaintenancePolicy"):
        params["InstanceMaintenancePolicy"] = policy.params(
            minHealthyPercentage="MinHealthyPercentage", maxHealthyPercentage="MaxHealthyPercentage"
        )
    if refresh := inputs.part("instanceRefresh"):
        refuse.refresh_in_wrong_form(_refresh(refresh))
    name = params["AutoScalingGroupName"]
    params["Tags"] = _tags(name, inputs)
    refuse.group_in_wrong_form(place, params, subnets)
    autoscaling.create_auto_scaling_group(**params, VPCZoneIdentifier=",".join(subnets))
    granularity = inputs.get("metricsGranularity", "1Minute")
    if "enabledMetrics" in inputs:
        metrics = inputs.take("enabledMetrics")
        refuse.unknown_group_metrics(metrics, granularity)
        autoscaling.enable_metrics_collection(
            AutoScalingGroupName=name, Metrics=metrics, Granularity=granularity
        )
    for hook in inputs.parts("initialLifecycleHooks"):
        _hook(place, name, hook)
    (made,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return Made(
        name, {"arn": made["AutoScalingGroupARN"], "availabilityZones": sorted(made["AvailabilityZones"])}
    )


def _refresh(refresh: Inputs) -> dict[str, Any]:
    params: dict[str, Any] = refresh.params(strategy="Strategy", triggers="Triggers")
    if preferences := refresh.part("preferences"):
        params["Preferences"] = preferences.params(
            minHealthyPercentage="MinHealthyPercentage",
            maxHealthyPercentage="MaxHealthyPercentage",
            instanceWarmup="InstanceWarmup",
            skipMatching="SkipMatching",
            autoRollback="AutoRollback",
            checkpointDelay="CheckpointDelay",
            checkpointPercentages="CheckpointPercentages",
            scaleInProtectedInstances="ScaleInProtectedInstances",
            standbyInstances="StandbyInstances",
        )
    return params


def _tags(name: str, inputs: Inputs) -> list[dict[str, Any]]:
    tags = [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            **part.params(key="Key", value="Value", propagateAtLaunch="PropagateAtLaunch"),
        }
        for part in inputs.parts("tags")
    ]
    check_tags({tag["Key"]: tag["Value"] for tag in tags})
    return tags


def _hook(place: Place, group_name: str, inputs: Inputs) -> str:
    params = inputs.params(
        name="LifecycleHookName",
        lifecycleTransition="LifecycleTransition",
        heartbeatTimeout="HeartbeatTimeout",
        defaultResult="DefaultResult",
        notificationTargetArn="NotificationTargetARN",
        notificationMetadata="NotificationMetadata",
        roleArn="RoleARN",
    )
    refuse.no_group(place, group_name)
    refuse.hook_in_wrong_form(params)
    place.client("autoscaling").put_lifecycle_hook(AutoScalingGroupName=group_name, **params)
    name: str = params["LifecycleHookName"]
    return name


@handler("aws:autoscaling/lifecycleHook:LifecycleHook")
def lifecycle_hook(place: Place, inputs: Inputs) -> Made:
    return Made(_hook(place, inputs.take("autoscalingGroupName"), inputs))


@handler("aws:autoscaling/policy:Policy")
def policy(place: Place, inputs: Inputs) -> Made:
    params: dict[str, Any] = inputs.params(
        name="PolicyName",
        autoscalingGroupName="AutoScalingGroupName",
        policyType="PolicyType",
        adjustmentType="AdjustmentType",
        scalingAdjustment="ScalingAdjustment",
        cooldown="Cooldown",
        estimatedInstanceWarmup="EstimatedInstanceWarmup",
        metricAggregationType="MetricAggregationType",
        minAdjustmentMagnitude="MinAdjustmentMagnitude",
        enabled="Enabled",
    )
    if steps := inputs.parts("stepAdjustments"):
        params["StepAdjustments"] = [
            step.params(
                scalingAdjustment="ScalingAdjustment",
                metricIntervalLowerBound="MetricIntervalLowerBound",
                metricIntervalUpperBound="MetricIntervalUpperBound",
            )
            for step in steps
        ]
    if target := inputs.part("targetTrackingConfiguration"):
        params["TargetTrackingConfiguration"] = _target(target)
    refuse.no_group(place, params["AutoScalingGroupName"])
    refuse.policy_in_wrong_form(place, params)
    autoscaling = place.client("autoscaling")
    autoscaling.put_scaling_policy(**params)
    # moto does not answer with the ARN.
    (made,) = autoscaling.describe_policies(
        AutoScalingGroupName=params["AutoScalingGroupName"], PolicyNames=[params["PolicyName"]]
    )["ScalingPolicies"]
    return Made(params["PolicyName"], {"arn": made["PolicyARN"]})


def _target(target: Inputs) -> dict[str, Any]:
    params: dict[str, Any] = target.params(targetValue="TargetValue", disableScaleIn="DisableScaleIn")
    if metric := target.part("customizedMetricSpecification"):
        params["CustomizedMetricSpecification"] = {
            **metric.params(
                metricName="MetricName", namespace="Namespace", statistic="Statistic", unit="Unit"
            ),
            "Dimensions": [
                part.params(name="Name", value="Value") for part in metric.parts("metricDimensions")
            ],
        }
    if metric := target.part("predefinedMetricSpecification"):
        params["PredefinedMetricSpecification"] = metric.params(
            predefinedMetricType="PredefinedMetricType", resourceLabel="ResourceLabel"
        )
    return params


@handler("aws:autoscaling/schedule:Schedule")
def schedule(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(
        autoscalingGroupName="AutoScalingGroupName",
        scheduledActionName="ScheduledActionName",
        startTime="StartTime",
        endTime="EndTime",
        recurrence="Recurrence",
        timeZone="TimeZone",
        minSize="MinSize",
        maxSize="MaxSize",
        desiredCapacity="DesiredCapacity",
    )
    # The provider takes -1 for "leave it as it is".
    params = {key: value for key, value in params.items() if value != -1}
    refuse.no_group(place, params["AutoScalingGroupName"])
    refuse.schedule_in_wrong_form(place, params)
    place.client("autoscaling").put_scheduled_update_group_action(**params)
    name = params["ScheduledActionName"]
    return Made(
        name,
        {"arn": f"arn:aws:autoscaling:{place.region}:{ACCOUNT_ID}:scheduledUpdateGroupAction:{name}"},
    )
