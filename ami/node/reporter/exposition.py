"""Figures in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from ami.node.reporter.figures import Figure

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def exposition(figures: Iterable[Figure]) -> bytes:
    """The text that Prometheus reads; a metric's figures stand together."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(tuple(figures)))
    return generate_latest(registry)


@dataclass(frozen=True)
class _Figures(Collector):
    figures: tuple[Figure, ...]

    def collect(self) -> Iterator[Family]:
        families: dict[str, Family] = {}
        for figure in self.figures:
            metric = figure.metric
            name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
            family = families.setdefault(name, Family(name, metric.meaning, metric.kind))
            labels = dict(zip(metric.labels, figure.labels, strict=True))
            family.add_sample(metric.name + figure.suffix, labels, figure.value)
        yield from families.values()
