"""What watches: alarms, dashboards, log groups, topics."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.handlers.network import arn
from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import watching as refuse
from tests.infra.cloud.refusals.policies import check_policy
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:cloudwatch/metricAlarm:MetricAlarm")
def metric_alarm(place: Place, inputs: Inputs) -> Made:
    params: dict[str, Any] = inputs.params(
        name="AlarmName",
        alarmDescription="AlarmDescription",
        namespace="Namespace",
        metricName="MetricName",
        statistic="Statistic",
        extendedStatistic="ExtendedStatistic",
        comparisonOperator="ComparisonOperator",
        threshold="Threshold",
        period="Period",
        evaluationPeriods="EvaluationPeriods",
        datapointsToAlarm="DatapointsToAlarm",
        treatMissingData="TreatMissingData",
        unit="Unit",
        alarmActions="AlarmActions",
        okActions="OKActions",
        insufficientDataActions="InsufficientDataActions",
        actionsEnabled="ActionsEnabled",
    )
    if "dimensions" in inputs:
        dimensions = inputs.take("dimensions")
        params["Dimensions"] = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    refuse.alarm_in_wrong_form(params)
    for action in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        for target in params.get(action, []):
            refuse.action_to_nowhere(place, target)
    tags = inputs.tags()
    place.client("cloudwatch").put_metric_alarm(**params, Tags=tag_list(tags))
    name = params["AlarmName"]
    return Made(name, {"arn": arn(place, f"alarm:{name}", "cloudwatch")})


@handler("aws:cloudwatch/dashboard:Dashboard")
def dashboard(place: Place, inputs: Inputs) -> Made:
    name, body = inputs.take("dashboardName"), inputs.take("dashboardBody")
    refuse.unreadable_dashboard(name, body)
    place.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)
    return Made(name, {"dashboardArn": f"arn:aws:cloudwatch::123456789012:dashboard/{name}"})


@handler("aws:cloudwatch/logGroup:LogGroup")
def log_group(place: Place, inputs: Inputs) -> Made:
    logs = place.client("logs")
    inputs.only("skipDestroy", True, False)
    name, days = inputs.take("name"), inputs.get("retentionInDays", 0)
    refuse.retention_that_there_is_not(days)
    params = inputs.params(kmsKeyId="kmsKeyId", logGroupClass="logGroupClass")
    tags = inputs.tags()
    logs.create_log_group(logGroupName=name, **params, **({"tags": tags} if tags else {}))
    if days:
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    return Made(name, {"arn": arn(place, f"log-group:{name}", "logs")})


@handler("aws:sns/topic:Topic")
def topic(place: Place, inputs: Inputs) -> Made:
    name = inputs.take("name")
    refuse.topic_misnamed(name)
    attributes = inputs.params(displayName="DisplayName", kmsMasterKeyId="KmsMasterKeyId", policy="Policy")
    made = place.client("sns").create_topic(Name=name, Attributes=attributes, Tags=tag_list(inputs.tags()))
    return Made(made["TopicArn"], {"arn": made["TopicArn"]})


@handler("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(place: Place, inputs: Inputs) -> Made:
    target, policy = inputs.take("arn"), inputs.take("policy")
    check_policy(policy, principal=True)
    place.client("sns").set_topic_attributes(TopicArn=target, AttributeName="Policy", AttributeValue=policy)
    return Made(target)


@handler("aws:sns/topicSubscription:TopicSubscription")
def topic_subscription(place: Place, inputs: Inputs) -> Made:
    target, protocol, endpoint = inputs.take("topic"), inputs.take("protocol"), inputs.take("endpoint")
    refuse.unreachable_subscriber(protocol, endpoint)
    made = place.client("sns").subscribe(
        TopicArn=target, Protocol=protocol, Endpoint=endpoint, ReturnSubscriptionArn=True
    )
    return Made(made["SubscriptionArn"], {"arn": made["SubscriptionArn"]})
