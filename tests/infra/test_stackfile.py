"""A stack file is one architecture, or all of its mistakes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import StackFileError
from infra.stackfile import load, parse

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")


def edited(stack: str, **changes: Any) -> str:
    """The text of a stack file with some of its top keys replaced (None removes)."""
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    for key, value in changes.items():
        name = "isochrone:" + key.replace("_", "-")
        if value is None:
            document["config"].pop(name)
        else:
            document["config"][name] = value
    return yaml.safe_dump(document)


def mistakes(stack: str, **changes: Any) -> list[str]:
    with pytest.raises(StackFileError) as caught:
        parse("changed", edited(stack, **changes))
    return list(caught.value.mistakes)


@pytest.mark.parametrize("stack", STACKS)
def test_the_three_stacks_are_valid(stack: str) -> None:
    assert load(stack, ROOT).name == stack


def test_the_baseline_is_one_big_machine_at_home() -> None:
    a = load("baseline", ROOT)
    assert (a.nodes.regions, a.nodes.instance_type, a.nodes.api_processes) == (
        ("eu-west-1",),
        "c3.8xlarge",
        16,
    )
    assert (a.redis.placement, a.sql.placement, a.core) == ("node", "node", None)


def test_geo_i_has_eight_nodes_and_its_data_at_home() -> None:
    a = load("geo-i", ROOT)
    assert len(a.nodes.regions) == 8
    assert a.nodes.api_processes == 2
    assert {a.redis_region(region) for region in a.nodes.regions} == {"eu-west-1"}
    assert set(a.sql_placement.reads_from.values()) == {"eu-west-1"}


def test_geo_ii_reads_redis_on_its_own_nodes_and_sql_as_the_thesis_did() -> None:
    a = load("geo-ii", ROOT)
    assert all(a.redis_region(region) == region for region in a.nodes.regions)
    assert set(a.sql_placement.source_of) == {
        "us-east-1",
        "us-west-2",
        "ap-southeast-1",
        "ap-northeast-1",
        "sa-east-1",
    }
    assert a.sql_placement.reads_from["ap-southeast-2"] == "ap-southeast-1"
    assert a.sql_placement.reads_from["us-west-1"] == "us-west-2"
    assert a.sql_placement.reads_from["eu-west-1"] == "eu-west-1"


def test_every_mistake_is_reported_at_once_with_its_key() -> None:
    found = mistakes(
        "geo-ii",
        home="eu-west-9",
        titel="x",
        title=None,
        nodes={
            "regions": ["us-east-1", "us-east-1"],
            "instance-type": "m3.huge",
            "api-processes": 0,
            "volume": {},
        },
        redis={"placement": "home"},
    )
    keys = {m.split(": ")[0] for m in found}
    assert keys >= {
        "isochrone:home",
        "isochrone:titel",
        "isochrone:title",
        "isochrone:nodes.api-processes",
        "isochrone:nodes.volume.size-gib",
        "isochrone:redis.instance-type",
        "isochrone:redis.volume",
    }


@pytest.mark.parametrize(
    ("stack", "changes", "key", "advice"),
    [
        ("geo-i", {"core": None}, "core", "drains the journal"),
        (
            "baseline",
            {"core": {"instance-type": "m3.medium", "volume": {"size-gib": 20}}},
            "core",
            "remove it",
        ),
        ("geo-i", {"routing": {"policy": "simple"}}, "routing.policy", "latency"),
        ("geo-i", {"redis": {"placement": "node"}}, "redis.placement", "exactly one node region"),
        ("geo-i", {"sql": {"placement": "home"}}, "sql.instance-class", "is missing"),
        (
            "baseline",
            {"redis": {"placement": "node", "instance-type": "m2.xlarge"}},
            "redis.instance-type",
            "remove",
        ),
        ("baseline", {"domain": "not a domain"}, "domain", "pattern"),
        ("baseline", {"hardware": "quantum"}, "hardware", "thesis"),
    ],
)
def test_a_contradiction_names_its_key_and_what_to_do(
    stack: str, changes: dict[str, Any], key: str, advice: str
) -> None:
    assert any(m.startswith(f"isochrone:{key}: ") and advice in m for m in mistakes(stack, **changes))


def test_a_fallback_without_a_server_says_which_limit_to_raise() -> None:
    sql = yaml.safe_load((ROOT / "Pulumi.geo-ii.yaml").read_text())["config"]["isochrone:sql"]
    found = mistakes("geo-ii", sql=sql | {"limits": {"replicas-per-source": 1, "chain-length": 1}})
    assert any("replicas-per-source" in m for m in found)


def test_a_missing_file_names_the_stacks_that_there_are() -> None:
    with pytest.raises(StackFileError, match="baseline, geo-i, geo-ii"):
        load("geo-iii", ROOT)


@given(st.text())
def test_any_text_is_an_architecture_or_a_stack_file_error(text: str) -> None:
    with pytest.raises(StackFileError):
        parse("any", text)
