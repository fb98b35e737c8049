"""The body of a stack's dashboard: every watched series across all regions, with the alarms' thresholds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from infra import metric_names as metrics
from infra.alarms import AlarmSpec, Series, Subject, alarms, machines
from infra.flows import Role, places
from infra.metric_names import GROUP_DIMENSION
from infra.regions import REGIONS
from infra.site import Site

_WIDTH: Final = 12
_HEIGHT: Final = 6
_COLUMNS: Final = 2
_HEADER_HEIGHT: Final = 2

_ROLE_TITLES: Final[Mapping[Role, str]] = {
    "node": "Nodes",
    "core": "Core",
    "redis": "Redis",
    "sql": "SQL",
    "monitoring": "Monitoring",
}

_TRAFFIC: Final[Mapping[str, Series]] = {
    "Connections": Series(metrics.NAMESPACE, metrics.CONNECTIONS.name, GROUP_DIMENSION, "Sum"),
    "Network in, bytes": Series("AWS/EC2", "NetworkIn", GROUP_DIMENSION, "Sum", 300),
    "Network out, bytes": Series("AWS/EC2", "NetworkOut", GROUP_DIMENSION, "Sum", 300),
}
"""What is shown of the nodes beside what is watched."""


@dataclass(frozen=True)
class _Panel:
    """One graph: a series of each subject, and the threshold of its alarms."""

    title: str
    series: Series
    subjects: tuple[Subject, ...]
    threshold: float | None = None


def subjects(site: Site) -> tuple[Subject, ...]:
    """Everything that the dashboard and the alarms show a metric of, each once, in a fixed order."""
    return tuple(dict.fromkeys(alarm.subject for alarm in alarms(site)))


def dashboard_body(site: Site, names: Mapping[Subject, str]) -> str:
    """The dashboard as CloudWatch stores it: JSON with sorted keys and no spaces.

    Args:
        site: the stack's architecture.
        names: what each of the `subjects` is called on CloudWatch.
    """
    header = {
        "type": "text",
        "x": 0,
        "y": 0,
        "width": _WIDTH * _COLUMNS,
        "height": _HEADER_HEIGHT,
        "properties": {
            "markdown": f"# {site.architecture.title}\n{site.play_name}, stack {site.architecture.name}"
        },
    }
    graphs = [_graph(site, panel, names, position) for position, panel in enumerate(_panels(site))]
    text = json.dumps(
        {"widgets": [header, *graphs]}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    # As the AWS provider writes the same text.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _panels(site: Site) -> Iterator[_Panel]:
    nodes = tuple(
        Subject(place, GROUP_DIMENSION) for place in places(site.architecture) if place.role == "node"
    )
    for title, series in _TRAFFIC.items():
        yield _Panel(f"{_ROLE_TITLES['node']}: {title}", series, nodes)
    roles = tuple(_ROLE_TITLES)

    def kind(alarm: AlarmSpec) -> tuple[int, str]:
        return roles.index(alarm.subject.place.role), alarm.watch.key

    for _, group in groupby(sorted(alarms(site), key=kind), key=kind):
        same = tuple(group)
        watch = same[0].watch
        yield _Panel(
            f"{_ROLE_TITLES[same[0].subject.place.role]}: {watch.title}",
            watch.series,
            tuple(alarm.subject for alarm in same),
            watch.threshold,
        )


def _graph(site: Site, panel: _Panel, names: Mapping[Subject, str], position: int) -> dict[str, Any]:
    series = panel.series
    properties: dict[str, Any] = {
        "title": panel.title,
        "view": "timeSeries",
        "stacked": False,
        "region": site.home,
        "stat": series.statistic,
        "period": series.period_s,
        "metrics": [_line(site, series, subject, names[subject]) for subject in panel.subjects],
    }
    if panel.threshold is not None:
        properties["annotations"] = {"horizontal": [{"label": "alarm", "value": _number(panel.threshold)}]}
    row, column = divmod(position, _COLUMNS)
    return {
        "type": "metric",
        "x": column * _WIDTH,
        "y": _HEADER_HEIGHT + row * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": properties,
    }


def _line(site: Site, series: Series, subject: Subject, name: str) -> Sequence[Any]:
    return [
        series.namespace,
        series.metric,
        series.dimension,
        name,
        {"label": _label(site, subject), "region": subject.place.region},
    ]


def _label(site: Site, subject: Subject) -> str:
    region = REGIONS[subject.place.region]
    several = machines(site.architecture, subject.place) > 1
    return f"{region} {subject.machine + 1}" if several else region


def _number(value: float) -> float:
    """A whole number without a fraction, as other writers of JSON have it."""
    return int(value) if value == int(value) else value
