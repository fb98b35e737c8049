"""What tells the operators how a stack fares: topics, alarms, log groups and one dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import INSTANCE_DIMENSION, SQL_DIMENSION, AlarmSpec, Subject, alarms
from infra.dashboard import dashboard_body, subjects
from infra.errors import InfraError
from infra.flows import Place
from infra.log_names import log_group_name, logged_places
from infra.metric_names import MACHINE_DIMENSION, machine_name
from infra.site import Site


class UnnamedSubjectError(InfraError):
    """The architecture has a machine, group or server whose name on AWS was not given."""


@dataclass(frozen=True)
class ObservabilityArgs:
    """What is watched, by its names on AWS.

    Args:
        site: the stack's architecture, names and tags.
        group_names: the auto scaling group of each node region.
        sql_identifiers: the SQL server of each region that has one.
        redis_instance_ids: the Redis machines, the master first.
        core_group_name: the auto scaling group of the core machine, where there is one.
        monitoring_instance_id: the machine with Prometheus.
    """

    site: Site
    group_names: Mapping[str, pulumi.Input[str]]
    monitoring_instance_id: pulumi.Input[str]
    sql_identifiers: Mapping[str, pulumi.Input[str]]
    redis_instance_ids: Sequence[pulumi.Input[str]] = ()
    core_group_name: pulumi.Input[str] | None = None


class Observability(pulumi.ComponentResource):
    """The alarms with a topic to tell in each region, the log groups, and the dashboard at home.

    An alarm can only tell a topic of its own region, so that `alarms.email` has to confirm one subscription
    for each. The topics carry alarms' names and values and no user's data: they rest on the disk encryption
    that SNS has by itself, since alarms cannot publish under the key that AWS manages for SNS.

    Args:
        topics: the topic's ARN in each region that has alarms; where only load machines are, none has.
        dashboard_url: where a browser shows the dashboard.
    """

    topics: Mapping[str, pulumi.Output[str]]
    dashboard_url: str

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("isochrone:infra:Observability", name, None, opts)
        self._name = name
        self._args = args
        self._site = args.site
        self._child = pulumi.ResourceOptions(parent=self)
        names = {subject: _name_of(args, subject) for subject in subjects(self._site)}
        watched = {alarm.region for alarm in alarms(self._site)}
        self.topics = {region: self._topic(region) for region in self._site.regions if region in watched}
        for place in logged_places(self._site):
            self._log_group(place)
        for alarm in alarms(self._site):
            self._alarm(alarm, names[alarm.subject])
        self.dashboard_url = self._dashboard(names)
        self.register_outputs({"topics": self.topics, "dashboard_url": self.dashboard_url})

    def _topic(self, region: str) -> pulumi.Output[str]:
        topic = aws.sns.Topic(
            f"{self._name}-{region}",
            region=region,
            name=self._site.name("alarms"),
            tags=self._site.tags(f"{region}-alarms"),
            opts=self._child,
        )
        alarm_prefix = self._site.name("")
        aws.sns.TopicPolicy(
            f"{self._name}-{region}",
            region=region,
            arn=topic.arn,
            policy=topic.arn.apply(lambda arn: json.dumps(topic_policy(arn, alarm_prefix))),
            opts=self._child,
        )
        if email := self._site.architecture.alarms.email:
            aws.sns.TopicSubscription(
                f"{self._name}-{region}-email",
                region=region,
                topic=topic.arn,
                protocol="email",
                endpoint=email,
                opts=self._child,
            )
        return topic.arn

    def _log_group(self, place: Place) -> None:
        aws.cloudwatch.LogGroup(
            f"{self._name}-{place.role}-{place.region}",
            region=place.region,
            name=log_group_name(self._site, place.role),
            retention_in_days=self._site.architecture.monitoring.log_days,
            tags=self._site.tags(f"{place.region}-{place.role}-logs"),
            opts=self._child,
        )

    def _alarm(self, alarm: AlarmSpec, subject_name: pulumi.Input[str]) -> None:
        watch, series = alarm.watch, alarm.watch.series
        is_percentile = series.statistic.startswith("p")
        topic = self.topics[alarm.region]
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm.name.removeprefix(self._site.name(''))}",
            region=alarm.region,
            name=alarm.name,
            alarm_description=f"{watch.title}: {watch.meaning}",
            namespace=series.namespace,
            metric_name=series.metric,
            dimensions={series.dimension: subject_name},
            statistic=None if is_percentile else series.statistic,
            extended_statistic=series.statistic if is_percentile else None,
            comparison_operator=watch.comparison,
            threshold=watch.threshold,
            period=series.period_s,
            evaluation_periods=watch.periods,
            treat_missing_data=watch.missing,
            alarm_actions=[topic],
            ok_actions=[topic],
            tags=self._site.tags(alarm.name.removeprefix(self._site.name(""))),
            opts=self._child,
        )

    def _dashboard(self, names: Mapping[Subject, pulumi.Input[str]]) -> str:
        home, name = self._site.home, self._site.name("overview")
        body = pulumi.Output.all(*names.values()).apply(
            lambda values: dashboard_body(self._site, dict(zip(names, values, strict=True)))
        )
        aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            region=home,
            dashboard_name=name,
            dashboard_body=body,
            opts=self._child,
        )
        return (
            f"https://{home}.console.aws.amazon.com/cloudwatch/home?region={home}#dashboards/dashboard/{name}"
        )


def topic_policy(topic_arn: str, alarm_prefix: str) -> Mapping[str, Any]:
    """Lets only the stack's alarms, of the topic's own account and region, publish to a topic."""
    _, partition, _, region, account, _ = topic_arn.split(":")
    own_alarms = f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarm_prefix}*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OwnAlarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {"aws:SourceArn": own_alarms},
                },
            }
        ],
    }


def _name_of(args: ObservabilityArgs, subject: Subject) -> pulumi.Input[str]:
    """What a subject is called on CloudWatch.

    Raises:
        UnnamedSubjectError: when the arguments do not name it.
    """
    place = subject.place
    if subject.dimension == MACHINE_DIMENSION:
        return machine_name(args.site, place.role, subject.machine)
    found: pulumi.Input[str] | None
    if subject.dimension == SQL_DIMENSION:
        found = args.sql_identifiers.get(place.region)
    elif subject.dimension == INSTANCE_DIMENSION and place.role == "redis":
        found = dict(enumerate(args.redis_instance_ids)).get(subject.machine)
    elif subject.dimension == INSTANCE_DIMENSION:
        found = args.monitoring_instance_id
    elif place.role == "core":
        found = args.core_group_name
    else:
        found = args.group_names.get(place.region)
    if found is None:
        raise UnnamedSubjectError(
            f"the alarms of {place.role} in {place.region} need its {subject.dimension}; pass it"
        )
    return found
