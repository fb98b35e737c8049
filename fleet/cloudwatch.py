"""The minutes of a run as CloudWatch has them, as windows of the utilisation meters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any, Final

from bench.windows import Window
from fleet.errors import FleetError
from fleet.machines import Client
from fleet.watched import Figure, Watched
from infra.aws_errors import AWS_ERRORS

MINUTE_S: Final = 60
PATIENCE_S: Final = 300.0
"""How long after a run its last minutes are waited for; CloudWatch lags about two."""

POLL_S: Final = 15.0
MOST_QUERIES: Final = 500
"""The metrics that one call of GetMetricData may name."""

_MIB: Final = 2**20

Minutes = Mapping[tuple[str, Figure], Mapping[int, float]]
"""By machine and figure: the value of each minute, by its beginning (s since 1970)."""


def minutes_of(started_at_s: float, ended_at_s: float) -> range:
    """The beginnings of the whole minutes of a run (s since 1970)."""
    first = ceil(started_at_s / MINUTE_S) * MINUTE_S
    last = floor(ended_at_s / MINUTE_S) * MINUTE_S
    return range(first, last, MINUTE_S)


def windows(watched: Sequence[Watched], values: Minutes, minutes: range) -> list[dict[str, Window]]:
    """What every machine used in each minute; a minute in which something is not known is left out."""
    found = []
    for minute in minutes:
        used = {each.capacity.machine: _window(each, values, minute) for each in watched}
        known = {machine: window for machine, window in used.items() if window is not None}
        if watched and len(known) == len(used):
            found.append(known)
    return found


def _window(watched: Watched, values: Minutes, minute: int) -> Window | None:
    size = watched.capacity
    found = {figure: values.get((size.machine, figure), {}).get(minute) for figure in watched.metrics}
    known = {figure: value for figure, value in found.items() if value is not None}
    if len(known) < len(found):
        return None
    cores = known["cpu"] / 100 * size.cores
    if watched.metrics["cpu"].namespace == "AWS/RDS":
        # RDS tells what is free in bytes, and traffic in bytes per second.
        return Window(
            cores,
            max(size.memory_mib - known["memory"] / _MIB, 0.0),
            max(size.disk_mib - known["disk"] / _MIB, 0.0),
            known["in"] * MINUTE_S,
            known["out"] * MINUTE_S,
        )
    return Window(
        cores,
        known["memory"] / 100 * size.memory_mib,
        known["disk"] / 100 * size.disk_mib,
        known["in"],
        known["out"],
    )


def read(client: Client, watched: Sequence[Watched], minutes: range) -> Minutes:
    """What CloudWatch has of these minutes at present.

    Raises:
        FleetError: when it does not answer.
    """
    found: dict[tuple[str, Figure], Mapping[int, float]] = {}
    for region in dict.fromkeys(each.region for each in watched):
        asked: list[tuple[tuple[str, Figure], dict[str, Any]]] = [
            ((each.capacity.machine, figure), _query(each, figure, f"m{number}_{figure}"))
            for number, each in enumerate(watched)
            if each.region == region
            for figure in each.metrics
        ]
        for first in range(0, len(asked), MOST_QUERIES):
            part = asked[first : first + MOST_QUERIES]
            answers = _ask(client, region, [query for _, query in part], minutes)
            found |= {key: answers.get(query["Id"], {}) for key, query in part}
    return found


def _query(watched: Watched, figure: Figure, id_: str) -> dict[str, Any]:
    metric = watched.metrics[figure]
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": metric.dimension, "Value": metric.value}],
            },
            "Period": MINUTE_S,
            "Stat": metric.statistic,
        },
    }


def _ask(
    client: Client, region: str, queries: Sequence[Mapping[str, Any]], minutes: range
) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    try:
        pages = (
            client("cloudwatch", region)
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(minutes.start, UTC),
                EndTime=datetime.fromtimestamp(minutes.stop, UTC),
                ScanBy="TimestampAscending",
            )
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                values = found.setdefault(result["Id"], {})
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    values[int(at.timestamp())] = value
    except AWS_ERRORS as error:
        raise FleetError(f"CloudWatch in {region} does not say what machines used: {error}") from error
    return found


def await_windows(
    client: Client,
    watched: Sequence[Watched],
    minutes: range,
    sleep: Callable[[float], None] = time.sleep,
    patience_s: float = PATIENCE_S,
) -> list[dict[str, Window]]:
    """The windows of a run, as soon as CloudWatch has all of them; those that it has when patience ends.

    Raises:
        FleetError: when it does not answer.
    """
    waited_s = 0.0
    while True:
        found = windows(watched, read(client, watched, minutes), minutes) if len(minutes) else []
        if len(found) == len(minutes) or waited_s >= patience_s:
            return found
        sleep(POLL_S)
        waited_s += POLL_S
