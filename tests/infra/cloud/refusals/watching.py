"""Alarms, dashboards, log groups and topics that AWS refuses, and moto takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place

_COMPARISONS: Final = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)
_STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_MISSING: Final = ("breaching", "notBreaching", "ignore", "missing")
_DAY_S: Final = 86_400
_RETENTIONS: Final = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192)


def alarm_in_wrong_form(alarm: Mapping[str, Any]) -> None:
    """An alarm has a comparison, one statistic, a period and a way with missing data that there are."""
    check_text("the alarm's name", alarm["AlarmName"], r"[ -~]{1,255}")
    if alarm["ComparisonOperator"] not in _COMPARISONS:
        raise RefusedError(f"{alarm['ComparisonOperator']} is no comparison")
    if ("Statistic" in alarm) == ("ExtendedStatistic" in alarm):
        raise RefusedError("an alarm has a statistic or an extended one")
    if alarm.get("Statistic", "Sum") not in _STATISTICS:
        raise RefusedError(f"{alarm['Statistic']} is no statistic")
    if not re.fullmatch(r"p\d{1,2}(\.\d{1,2})?|p100", alarm.get("ExtendedStatistic", "p50")):
        raise RefusedError(f"{alarm['ExtendedStatistic']} is no percentile")
    if alarm.get("TreatMissingData", "missing") not in _MISSING:
        raise RefusedError(f"{alarm['TreatMissingData']} is no way to treat missing data")
    if len(alarm.get("AlarmDescription", "")) > 1024:
        raise RefusedError("the alarm's description is longer than 1024 characters")
    if not alarm.get("MetricName") or not alarm.get("Namespace"):
        raise RefusedError("an alarm names a metric and its namespace")
    if len(alarm.get("Dimensions", [])) > 30:
        raise RefusedError("an alarm has more than 30 dimensions")
    if "Threshold" not in alarm:
        raise RefusedError("an alarm has a threshold")
    _check_periods(alarm["Namespace"], alarm["Period"], alarm["EvaluationPeriods"], alarm)


def _check_periods(namespace: str, period_s: int, periods: int, alarm: Mapping[str, Any]) -> None:
    if period_s not in (10, 20, 30) and (period_s % 60 or period_s < 60):
        raise RefusedError(f"a period of {period_s} s is neither 10, 20, 30 nor a multiple of 60")
    if period_s < 60 and namespace.startswith("AWS/"):
        raise RefusedError(f"{namespace} has no values more often than every minute")
    if periods < 1 or period_s * periods > (7 * _DAY_S if period_s >= 3600 else _DAY_S):
        raise RefusedError(f"{periods} periods of {period_s} s are none, or more than a day")
    if not 1 <= alarm.get("DatapointsToAlarm", 1) <= periods:
        raise RefusedError("more datapoints to alarm than periods")


def action_to_nowhere(place: Place, target: str) -> None:
    """An alarm tells a topic, or runs a scaling policy, that exists in its own region."""
    match target.split(":"):
        case ["arn", "aws", "sns", region, _, _]:
            _same_region(place, region, target)
            topics = place.client("sns").get_paginator("list_topics").paginate()
            if target not in {topic["TopicArn"] for page in topics for topic in page["Topics"]}:
                raise RefusedError(f"there is no topic {target}")
        case ["arn", "aws", "autoscaling", region, _, "scalingPolicy", *_]:
            _same_region(place, region, target)
            pages = place.client("autoscaling").get_paginator("describe_policies").paginate()
            if target not in {policy["PolicyARN"] for page in pages for policy in page["ScalingPolicies"]}:
                raise RefusedError(f"there is no scaling policy {target}")
        case _:
            raise RefusedError(f"an alarm cannot act on {target}")


def _same_region(place: Place, region: str, target: str) -> None:
    if region != place.region:
        raise RefusedError(f"an alarm in {place.region} cannot act on {target}, which is in another region")


def unreadable_dashboard(name: str, body: str) -> None:
    """A dashboard's name has no blanks, and its body is JSON with widgets that lie on the grid."""
    check_text("the dashboard's name", name, r"[A-Za-z0-9_-]{1,255}")
    try:
        widgets = json.loads(body)["widgets"]
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"the dashboard's body is not JSON with widgets: {error!r}") from error
    if len(widgets) > 500:
        raise RefusedError(f"a dashboard has at most 500 widgets, not {len(widgets)}")
    for widget in widgets:
        if widget.get("type") not in ("metric", "text", "log", "alarm", "explorer"):
            raise RefusedError(f"{widget.get('type')} is no kind of widget")
        if widget["type"] == "metric" and "region" not in widget["properties"]:
            raise RefusedError("a metric widget names its region")
        if widget.get("x", 0) + widget.get("width", 6) > 24:
            raise RefusedError("a widget is wider than the dashboard's 24 columns")


def retention_that_there_is_not(days: int) -> None:
    """Logs are kept for one of the numbers of days that there are."""
    if days not in _RETENTIONS:
        raise RefusedError(f"logs cannot be kept for {days} days")


def topic_misnamed(name: str) -> None:
    """A topic's name is of letters, digits, hyphens and underscores."""
    check_text("the topic's name", name, r"[A-Za-z0-9_-]{1,256}")


def unreachable_subscriber(protocol: str, endpoint: str) -> None:
    """A subscriber has an address of its protocol."""
    patterns = {
        "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
        "https": r"https://.+",
        "sqs": r"arn:aws:sqs:.+",
        "lambda": r"arn:aws:lambda:.+",
    }
    if protocol not in patterns:
        raise RefusedError(f"{protocol} is no protocol of a subscriber")
    check_text("the endpoint", endpoint, patterns[protocol])
