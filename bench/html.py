"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench import costs, published, stored, view, wording, worldmap
from bench.answers import NOISE_MS, TAIL_COUNT, THRESHOLD, answers, reference
from bench.checks import checks
from bench.places import name_of
from bench.result import Result


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("bench", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "ms": wording.ms,
        "bare_ms": wording.bare_ms,
        "number": wording.number,
        "spread": wording.spread,
        "dollars": wording.dollars,
        "place": name_of,
        "listing": wording.listing,
        "unbroken": _unbroken,
    }
    return found


def _unbroken(text: str) -> Markup:
    """The text with its hyphenated names, and figures with their units, kept on one line each."""
    return Markup(_TOGETHER.sub(r'<span class="name">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped


_TOGETHER: Final = re.compile(r"\b\w+(?:-\w+)+\b|\b[\d.,]+ (?:ms|min|s)\b")


def render(result: Result) -> str:
    """The report of a comparison as HTML."""
    series = view.series(result)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            run=result.run,
            runs=result.architectures,
            control=result.blocking,
            series=series,
            answers=answers(result),
            checks={name: checks(run) for name, run in result.architectures.items()},
            control_checks={name: checks(run) for name, run in result.blocking.items()},
            reference=reference(result.architectures),
            threshold=f"{THRESHOLD:.0%}",
            noise_ms=f"{NOISE_MS:g}",
            tail_count=TAIL_COUNT,
            cost_basis=costs.basis(result.architectures),
            typical=view.typical_pairs,
            overview=view.overview(result.architectures, series),
            distributions=view.distributions(result.architectures, series),
            by_region=view.by_region(result),
            maps=_maps(result),
            land=worldmap.land(),
            heat_ms=worldmap.HEAT_MS,
            meters=view.meters(result.architectures, series),
            traffic=view.traffic_shares(result.architectures),
            roles=view.roles(result.architectures),
            control_overview=view.control_overview(result, series),
            control_regions=view.control_regions(result, series),
            published=published,
        )
    )


def write(result: Result, path: Path) -> None:
    """Write the report of a comparison to a file, replacing it whole.

    Raises:
        StoredResultError: the file cannot be written.
    """
    stored.replace(path, render(result).encode())


def _maps(result: Result) -> Mapping[str, object]:
    return {
        name: worldmap.world(run, "read", f"Where {name}'s users are sent and read")
        for name, run in result.architectures.items()
        if run.regions or "read" in run.latency_ms
    }
