"""A preview says what a stack declares, whom it sends where and what it costs, to people and to programs."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from infra.architecture import Architecture
from infra.commands import MATRIX, OverrideError, overridden, overrides, preview, preview_stack
from infra.cost import estimate
from infra.declaration import Declaration, Declared
from infra.errors import InfraError
from infra.preview import Opening, Preview, Record, Replica, preview_of
from infra.preview_view import rendered
from infra.prices import prices_2015
from infra.regions import REGIONS, matrix
from infra.stackfile import load

ROOT = Path(__file__).parents[2]


def resource(type_: str, called: str, region: str = "", parent: str = "", /, **inputs: Any) -> Declared:
    return Declared(type_, called, parent, region, False, inputs)


RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RECORD = "aws:route53/record:Record"
SERVER = "aws:rds/instance:Instance"
PEERING = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
RESOURCES = (
    resource("isochrone:infra:Network", "network-us-east-1"),
    resource("aws:ec2/vpc:Vpc", "vpc-1", "us-east-1", "network-us-east-1"),
    resource("aws:ec2/vpc:Vpc", "vpc-2", "us-west-2", "network-us-east-1"),
    resource(PEERING, "b", "eu-west-1", peerRegion="us-west-2"),
    resource(PEERING, "a", "eu-west-1", peerRegion="us-east-1"),
    resource(RULE, "r1", "us-east-1", cidrIpv4="0.0.0.0/0", fromPort=443, toPort=443, securityGroupId="g.id"),
    resource(RULE, "r2", "us-east-1", cidrIpv6="::/0", securityGroupId="g.id"),
    resource(RULE, "r3", "us-east-1", cidrIpv4="10.1.0.0/16", fromPort=22, toPort=22, securityGroupId="g.id"),
    resource(SERVER, "master", "eu-west-1"),
    resource(SERVER, "replica", "us-east-1", replicateSourceDb="arn:aws:rds:eu-west-1:123456789012:master"),
    resource(
        RECORD,
        "play-us-east-1",
        name="play.x.example",
        type="A",
        setIdentifier="us-east-1",
        latencyRoutingPolicies=[{"region": "us-east-1"}],
        aliases=[{"name": "us-east-1.play.x.example", "evaluateTargetHealth": True}],
    ),
    resource(
        RECORD,
        "node",
        name="us-east-1.play.x.example",
        type="A",
        setIdentifier="0",
        multivalueAnswerRoutingPolicy=True,
        healthCheckId="check.id",
        records=["198.18.0.1"],
    ),
)
DECLARATION = Declaration(RESOURCES, {"url": "https://play.x.example"}, ("it is late",))


@pytest.fixture(scope="module")
def geo_ii() -> Architecture:
    return load("geo-ii", ROOT)


@pytest.fixture(scope="module")
def seen(geo_ii: Architecture) -> Preview:
    return preview_of(
        "geo-ii", geo_ii.title, DECLARATION, geo_ii, matrix(MATRIX), estimate(geo_ii, prices_2015())
    )


def test_users_go_to_the_nearest_node_and_read_where_its_data_is(seen: Preview) -> None:
    by_region = {users.region: users for users in seen.users}
    assert list(by_region) == list(REGIONS)
    assert all(users.node == users.region == users.redis for users in seen.users)
    assert (by_region["us-west-1"].sql, by_region["ap-southeast-2"].sql) == ("us-west-2", "ap-southeast-1")


def test_with_data_at_home_everybody_reads_there() -> None:
    a = load("geo-i", ROOT)
    users = preview_of("geo-i", a.title, DECLARATION, a, matrix(MATRIX)).users
    assert {(each.redis, each.sql) for each in users} == {("eu-west-1", "eu-west-1")}


def test_replicas_are_told_with_the_region_that_they_replicate_from(seen: Preview) -> None:
    assert seen.replicas == (Replica("us-east-1", "eu-west-1"),)


def test_records_are_told_with_their_policy_and_health(seen: Preview) -> None:
    assert seen.records == (
        Record("play.x.example", "A", "latency", "us-east-1", "us-east-1.play.x.example", True),
        Record("us-east-1.play.x.example", "A", "multivalue", "0", "198.18.0.1", True),
    )
    assert seen.latency_routes == seen.records[:1]


def test_only_what_the_world_may_reach_is_told_as_open(seen: Preview) -> None:
    assert seen.openings == (Opening("us-east-1", "g", "443"), Opening("us-east-1", "g", "every"))


def test_peerings_are_told_in_the_order_of_the_regions(seen: Preview) -> None:
    assert seen.peerings == (("eu-west-1", "us-east-1"), ("eu-west-1", "us-west-2"))


def test_resources_are_counted_by_component_type_and_region(seen: Preview) -> None:
    assert seen.counts()["Network", "ec2 Vpc"] == {"us-east-1": 1, "us-west-2": 1}
    assert seen.counts()["", "route53 Record"] == {"global": 2}


def test_programs_get_resources_routing_reads_and_cost(seen: Preview) -> None:
    told = json.loads(json.dumps(seen.as_json()))
    assert [(each["type"], each["name"], each["region"]) for each in told["resources"]] == [
        (each.type, each.name, each.region) for each in RESOURCES
    ]
    assert told["resolves_to"] == {region: region for region in REGIONS}
    assert told["reads_from"]["ap-southeast-2"] == "ap-southeast-1"
    assert told["cost_per_hour"] == round(sum(item["usd_per_hour"] for item in told["cost_items"]), 4)
    assert told["warnings"] == ["it is late"]


def test_what_has_no_price_has_no_cost() -> None:
    told = preview_of("image", "The machine image", DECLARATION).as_json()
    assert (told["cost_per_hour"], told["cost_items"], told["resolves_to"]) == (None, [], {})


def test_people_get_tables(seen: Preview) -> None:
    console = Console(width=120, file=StringIO(), emoji=False)
    with console.capture() as captured:
        console.print(rendered(seen))
    shown = captured.get()
    for text in (
        "11 resources in 3 regions",
        "Sydney (ap-southeast-2)     Sydney",
        "N. Virginia (us-east-1)  Ireland",
        "play.x.example            A     latency     yes                  1",
        "N. Virginia (us-east-1)  g               443, every",
        "Read replicas per primary",
        "node m3.2xlarge",
        "prices of 2015-11-09",
        "it is late",
    ):
        assert text in shown, shown


APP = typer.Typer()
APP.command()(preview)


def test_a_wrong_stack_file_is_refused_with_all_mistakes_before_anything_runs(tmp_path: Path) -> None:
    text = (ROOT / "Pulumi.geo-ii.yaml").read_text(encoding="utf-8")
    (tmp_path / "Pulumi.bad.yaml").write_text(
        text.replace("title:", "titel:").replace("m3.2xlarge", "m9.huge"), encoding="utf-8"
    )
    answered = CliRunner().invoke(APP, ["bad", "--stacks", str(tmp_path)])
    assert answered.exit_code == 1
    assert answered.stdout == ""
    assert "isochrone:titel: is not a key" in answered.stderr
    assert "isochrone:title: is missing" in answered.stderr
    assert "'m9.huge' is not known" in answered.stderr


def test_a_stack_that_is_not_there_is_refused_with_those_that_are() -> None:
    answered = CliRunner().invoke(APP, ["geo-3", "--stacks", str(ROOT)])
    assert answered.exit_code == 1
    assert "there are stacks baseline, geo-i, geo-ii, image" in answered.stderr


def test_a_time_without_quotes_is_no_secret() -> None:
    """As the guide and `pulumi config set` write it: YAML makes a time of it."""
    schedule = "{name: final, start: 2030-05-28T17:00:00Z, end: 2030-05-28T22:00:00Z, per-region: 2}"
    over = ["isochrone:expiry=2030-06-01T18:00:00Z", f"isochrone:nodes.schedules=[{schedule}]"]
    found = preview_stack("geo-i", ROOT, overrides(over))
    assert (
        sum(resource.type == "aws:autoscaling/schedule:Schedule" for resource in found.declaration.resources)
        == 25
    )


def test_an_empty_commit_to_compare_with_is_refused() -> None:
    answered = CliRunner().invoke(APP, ["geo-i", "--stacks", str(ROOT), "--against", ""])
    assert answered.exit_code == 1
    assert "'' is no commit of" in answered.stderr


def test_the_image_stack_is_refused_without_its_snapshot() -> None:
    answered = CliRunner().invoke(APP, ["image", "--stacks", str(ROOT)])
    assert answered.exit_code == 1
    assert "isochrone:snapshot: is missing" in answered.stderr


def test_overrides_are_read_as_in_a_stack_file() -> None:
    assert overrides(["isochrone:zones=3", "isochrone:regions=[eu-west-1]", "isochrone:title=a = b"]) == {
        "isochrone:zones": 3,
        "isochrone:regions": ["eu-west-1"],
        "isochrone:title": "a = b",
    }


@pytest.mark.parametrize("text", ["isochrone:zones", "zones=3"])
def test_an_override_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InfraError, match="give a key and its value"):
        overrides([text])


@pytest.mark.parametrize("value", ["{", "9" * 5000, "{a: 1, a: 2}"])
def test_an_override_that_is_not_yaml_is_refused(value: str) -> None:
    with pytest.raises(OverrideError, match=r"--config isochrone:load: its value is not YAML \(.+\)"):
        overrides([f"isochrone:load={value}"])


def test_an_override_may_be_a_path_and_leaves_the_rest() -> None:
    config = {"isochrone:redis": {"placement": "home", "standbys": 0}}
    assert overridden(config, {"isochrone:redis.standbys": 2, "isochrone:zones": 3}) == {
        "isochrone:redis": {"placement": "home", "standbys": 2},
        "isochrone:zones": 3,
    }
    assert config["isochrone:redis"] == {"placement": "home", "standbys": 0}


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(OverrideError, match="isochrone:zones has no keys below it"):
        overridden({"isochrone:zones": 2}, {"isochrone:zones.a": 1})
