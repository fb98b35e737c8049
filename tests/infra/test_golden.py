"""What each stack declares is on record, so that a change of the infrastructure shows in the difference.

After a change that is meant, write the record anew and review its difference:

    ISOCHRONE_UPDATE_GOLDEN=1 .venv/bin/pytest tests/infra/test_golden.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from infra.commands import preview_stack
from infra.listing import facts, listing
from infra.preview import Preview
from infra.regions import REGIONS
from tests.engine import plan

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
STACKS: Mapping[str, Mapping[str, Any]] = {
    "baseline": {},
    "geo-i": {},
    "geo-ii": {},
    "image": {"isochrone:snapshot": "snap-0123456789abcdef0"},
}


@cache
def previewed(stack: str) -> Preview:
    return preview_stack(stack, ROOT, STACKS[stack])


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_declares_what_is_on_record(stack: str) -> None:
    seen = previewed(stack)
    text = f"{facts(seen.as_json())}\n{listing(seen.declaration)}"
    record = GOLDEN / f"{stack}.txt"
    if os.environ.get("ISOCHRONE_UPDATE_GOLDEN"):
        record.write_text(text, encoding="utf-8")
    recorded = record.read_text(encoding="utf-8")
    different = ((a, b) for a, b in zip(text.splitlines(), recorded.splitlines(), strict=False) if a != b)
    assert text == recorded, (
        f"{record.name} differs; the first lines, now and on record: {list(islice(different, 3))}."
        " If the change is meant: ISOCHRONE_UPDATE_GOLDEN=1 .venv/bin/pytest tests/infra/test_golden.py"
    )


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_takes_at_most_ten_seconds(stack: str) -> None:
    """Of the processor's time, all threads together: what others do on the machine does not count."""
    began = process_time()
    preview_stack(stack, ROOT, STACKS[stack])
    assert process_time() - began < 10


def test_geo_ii_routes_by_latency_to_eight_regions() -> None:
    routes = previewed("geo-ii").latency_routes
    assert {route.name for route in routes} == {"play.market.example"}
    assert {route.target for route in routes} == {f"{region}.play.market.example" for region in REGIONS}
    assert all(route.health_checked for route in routes)


def test_geo_ii_has_five_replicas_across_regions() -> None:
    assert {replica.region: replica.source for replica in previewed("geo-ii").replicas} == dict.fromkeys(
        ("us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "sa-east-1"), "eu-west-1"
    )


def test_geo_ii_reads_as_the_thesis_did() -> None:
    assert previewed("geo-ii").as_json()["reads_from"] == {
        "us-east-1": "us-east-1",
        "us-west-1": "us-west-2",
        "us-west-2": "us-west-2",
        "eu-west-1": "eu-west-1",
        "ap-southeast-1": "ap-southeast-1",
        "ap-southeast-2": "ap-southeast-1",
        "ap-northeast-1": "ap-northeast-1",
        "sa-east-1": "sa-east-1",
    }


@pytest.mark.parametrize("stack", STACKS)
def test_the_world_reaches_nothing_but_443_and_80(stack: str) -> None:
    assert {opening.ports for opening in previewed(stack).openings} <= {"443", "80"}


@pytest.mark.parametrize("stack", STACKS)
def test_the_engine_test_gives_every_service_that_is_used_an_address(stack: str) -> None:
    modules = {r.type.split(":")[1] for r in previewed(stack).declaration.resources if not r.is_component}
    elsewhere = {"vpc": "ec2", "ebs": "ec2", "cloudwatch/logGroup": "logs"}
    used = {
        elsewhere.get(module, elsewhere.get(module.split("/")[0], module.split("/")[0])) for module in modules
    }
    assert used <= set(plan.SERVICES)


def test_the_cost_says_that_it_is_at_old_prices() -> None:
    assert previewed("geo-ii").as_json()["cost_notes"][0].startswith("only the prices of 2015 are known")


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_an_export_says_where_the_service_is(stack: str) -> None:
    assert "play.market.example" in json.dumps(previewed(stack).declaration.exports)
