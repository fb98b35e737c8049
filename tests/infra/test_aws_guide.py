"""The guide to AWS quotes the costs that the preview prints, and takes down what it makes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.architecture import LoadFleet
from infra.cost import HOURS_PER_MONTH, estimate
from infra.prices import prices_2015
from infra.stackfile import load, parse

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_the_costs_are_those_of_the_preview(stack: str) -> None:
    hour = estimate(load(stack, ROOT), prices_2015()).usd_per_hour
    assert f"| {stack} | ${hour:.3f} | ${hour * HOURS_PER_MONTH:,.0f} |" in GUIDE


def declared(stack: str) -> list[tuple[str, dict[str, Any]]]:
    """The type and the inputs of each resource on record."""
    text = (Path(__file__).parent / "golden" / f"{stack}.txt").read_text(encoding="utf-8")
    found = re.findall(r"^(aws:\S+) \S+\n((?:  .*\n)*)", text, re.MULTILINE)
    return [(kind.rsplit(":", 1)[1], yaml.safe_load(inputs)) for kind, inputs in found]


def test_what_is_not_priced_is_counted_as_it_is_declared() -> None:
    counts: dict[str, list[int]] = {}
    for stack in ("baseline", "geo-i", "geo-ii"):
        resources = declared(stack)
        kinds = Counter(kind for kind, _ in resources)
        ends = [x for kind, x in resources if kind == "VpcEndpoint" and x["vpcEndpointType"] == "Interface"]
        assert {len(end["subnetIds"]) for end in ends} == {2}
        secrets = [1 + len(x["replicas"]) for kind, x in resources if kind == "Secret"]
        checks = [x for kind, x in resources if kind == "HealthCheck"]
        assert {(check["type"], check["requestInterval"]) for check in checks} == {("HTTPS", 10)}
        for what, count in {
            "interface endpoints, each in two zones": len(ends),
            "public addresses": kinds["Eip"],
            "health checks, by HTTPS every 10 s": len(checks),
            "KMS keys": kinds["Key"],
            "secrets, with their copies in the regions": sum(secrets),
            "alarms": kinds["MetricAlarm"],
        }.items():
            counts.setdefault(what, []).append(count)
    for what, row in counts.items():
        assert f"| {what} | {' | '.join(map(str, row))} |" in GUIDE


def test_machines_are_replaced_by_the_urns_that_they_have() -> None:
    urn = re.compile(r"'urn:pulumi:(\S+)::isochrone::(isochrone:\S+)\$(aws:\S+)::(\S+)'")
    found = urn.findall((ROOT / "docs" / "image.md").read_text(encoding="utf-8"))
    assert len(found) == 2
    for stack, component, kind, name in found:
        text = (Path(__file__).parent / "golden" / f"{stack}.txt").read_text(encoding="utf-8")
        match = re.search(rf"^{kind} {name}\n  parent: (\S+)\n", text, re.MULTILINE)
        assert match
        assert f"\n{component} {match[1]}\n" in text


FLEET = LoadFleet()


def hourly(stack: str, fleet: LoadFleet | None) -> float:
    return estimate(replace(load(stack, ROOT), load=fleet), prices_2015()).usd_per_hour


def test_the_cost_of_the_load_fleet_is_that_of_the_preview() -> None:
    hour = hourly("geo-ii", FLEET) - hourly("geo-ii", None)
    assert f"| the load fleet of one stack | ${hour:.3f} | ${hour * HOURS_PER_MONTH:,.0f} |" in GUIDE


def test_the_cost_of_the_comparison_is_that_of_the_three_previews() -> None:
    hours = [hourly(stack, FLEET) for stack in ("baseline", "geo-i", "geo-ii")]
    assert f"for two hours | ${2 * sum(hours):.2f} in all | |" in GUIDE
    assert " and ".join((f"(${hours[0]:.3f}, ${hours[1]:.3f}", f"${hours[2]:.3f} an hour)")) in GUIDE


def test_the_load_fleet_that_is_shown_is_the_default() -> None:
    (shown,) = re.findall(r"```yaml\n(isochrone:load:\n.*?)```", GUIDE, re.DOTALL)
    config = yaml.safe_load((ROOT / "Pulumi.geo-ii.yaml").read_text(encoding="utf-8"))["config"]
    assert parse("geo-ii", yaml.safe_dump({"config": config | yaml.safe_load(shown)})).load == FLEET


def test_the_prices_are_dated() -> None:
    assert prices_2015().as_of.startswith("2015-11")
    assert "at the prices of November 2015" in GUIDE


def test_what_production_leaves_out_of_the_stack_file_is_there() -> None:
    for line in ("append-sync: everysec", "log-flush: everysec"):
        assert f"the line `{line}` out of the stack file" in GUIDE
        for stack in ("baseline", "geo-i", "geo-ii"):
            assert f"\n    {line}\n" in (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("stack", ["image", "geo-ii"])
def test_what_is_made_is_also_taken_down(stack: str) -> None:
    assert f"pulumi up -s {stack}" in GUIDE
    assert f"pulumi destroy -s {stack}" in GUIDE
