"""What the real engine is asked to do is complete, points at the server only, and never passes untried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from infra.offline import engine_config
from infra.stack_config import described_by, read_config
from tests.engine import plan

ROOT = Path(__file__).parents[2]
ENDPOINT = "http://127.0.0.1:5000"
PLUGINS = json.dumps([{"name": "aws", "version": "7.51.1"}, {"name": "random", "version": "4.0.0"}])


def written(stack: str) -> dict[str, Any]:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(plan.stack_file(stack, text, ENDPOINT))["config"]
    return config


def test_every_stack_of_the_project_is_tried() -> None:
    assert set(plan.STACKS) == {path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml")}


@pytest.mark.parametrize("stack", plan.STACKS)
def test_a_stack_is_made_unchanged_read_back_and_taken_down(stack: str) -> None:
    commands = [step.arguments for step in plan.steps(stack)]
    protected_and_not = ["config", "up"] * 2 if stack in plan.PROTECTED else []
    kinds = ["stack", "up", "up", *protected_and_not, "refresh", "destroy"]
    assert [command[0] for command in commands] == kinds
    assert [n for n, command in enumerate(commands) if "--expect-no-changes" in command] == [2]
    assert all("--non-interactive" in command for command in commands)
    assert all(command[-1] == stack for command in commands[1:])


def test_what_a_stack_holds_is_protected_and_then_no_longer() -> None:
    commands = [step.arguments for step in plan.steps("geo-i")]
    said = [command[1:4] for command in commands if command[0] == "config"]
    assert said == [("set", "isochrone:protect", protect) for protect in ("true", "false")]


@pytest.mark.parametrize("stack", plan.STACKS)
def test_the_provider_is_pointed_at_the_server_by_configuration(stack: str) -> None:
    config = written(stack)
    assert config["aws:endpoints"] == [dict.fromkeys(plan.SERVICES, ENDPOINT)]
    assert (config["aws:accessKey"], config["aws:secretKey"]) == ("test", "test")
    assert config["aws:skipCredentialsValidation"] is True
    assert config["aws:region"] == "eu-west-1"


@pytest.mark.parametrize("stack", plan.STACKS)
def test_the_rest_of_the_file_is_the_stacks_own(stack: str) -> None:
    own = read_config(stack, ROOT)
    changed = {key for key, value in written(stack).items() if own.get(key) != value and ":" in key}
    expected = {"image": {"isochrone:snapshot", "isochrone:tested"}}.get(stack, {"isochrone:protect"})
    assert {key for key in changed if key.startswith("isochrone:")} == expected


@pytest.mark.parametrize("stack", plan.STACKS)
def test_the_file_that_is_written_is_a_valid_one(stack: str) -> None:
    described_by(stack, written(stack))
    assert json.loads(engine_config(written(stack))[0]["aws:endpoints"])[0]["ec2"] == ENDPOINT


def test_nothing_is_protected() -> None:
    assert {written(stack)["isochrone:protect"] for stack in plan.STACKS if stack != "image"} == {False}


def test_the_engine_finds_no_account_and_keeps_its_state_in_the_folder(tmp_path: Path) -> None:
    environment = plan.environment(
        {"PATH": "/bin", "AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "real", "PULUMI_CONFIG": "{}"}, tmp_path
    )
    assert environment["PATH"] == "/bin"
    assert {key for key in environment if key.startswith("AWS_")} == {"AWS_EC2_METADATA_DISABLED"}
    assert "PULUMI_CONFIG" not in environment
    assert environment["PULUMI_BACKEND_URL"] == f"file://{tmp_path}"
    assert environment["PULUMI_CONFIG_PASSPHRASE"] == ""


@pytest.mark.parametrize(
    ("pulumi", "plugins", "version", "says"),
    [
        (None, "", "7.51.1", "`pulumi` is not installed"),
        ("/bin/pulumi", "", "7.51.1", "AWS provider plugin 7.51.1 is not installed (there is none)"),
        ("/bin/pulumi", PLUGINS, "7.52.0", "7.52.0 is not installed (there is 7.51.1)"),
    ],
)
def test_where_something_is_missing_it_says_what(
    pulumi: str | None, plugins: str, version: str, says: str
) -> None:
    why = plan.missing(pulumi, plugins, version)
    assert why is not None
    assert says in why


def test_where_all_is_installed_it_is_tried() -> None:
    assert plan.missing("/bin/pulumi", PLUGINS, "7.51.1") is None
    assert plan.missing("/bin/pulumi", "", "7.51.1", "/bin/pulumi-resource-aws") is None


def test_untried_is_a_status_of_its_own() -> None:
    assert plan.NOT_INSTALLED not in (0, 1, 2)


def test_the_files_that_the_engine_needs_are_copied() -> None:
    assert all((ROOT / name).exists() for name in plan.COPIED)


@pytest.mark.parametrize("listing", plan.INVENTORIES, ids=lambda listing: listing.operation)
def test_what_may_be_left_is_asked_by_calls_that_exist(listing: plan.Inventory) -> None:
    assert listing.service in plan.SERVICES
    client = boto3.client(
        listing.service, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    shape = client.meta.service_model.operation_model(
        client.meta.method_to_api_mapping[listing.operation]
    ).output_shape
    items = shape.members[listing.items]
    if items.member.type_name == "structure":
        assert listing.name in items.member.members


def test_what_is_gone_or_going_is_not_left() -> None:
    (peerings,) = (each for each in plan.INVENTORIES if each.name == "VpcPeeringConnectionId")
    answer = {
        "VpcPeeringConnections": [
            {"VpcPeeringConnectionId": "pcx-1", "Status": {"Code": "deleted"}},
            {"VpcPeeringConnectionId": "pcx-2", "Status": {"Code": "active"}},
        ]
    }
    assert list(peerings.names(answer)) == ["pcx-2"]
