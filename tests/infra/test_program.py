"""The program refuses what is wrong before it declares anything, and exports what people need."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from functools import partial
from typing import Any

import pulumi_aws as aws
import pytest
import yaml

from infra import preflight, program
from infra.answers import answer
from infra.declaration import SECRET, Declaration, of_type
from infra.errors import InfraError
from infra.offline import declare
from infra.prices import present_prices
from infra.program import given_secrets, run
from infra.secrets import GivenSecretError
from tests.infra.components import ROOT


def config(stack: str, **changes: Any) -> dict[str, Any]:
    """The stack's configuration with some of it changed; None takes a key out."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    changed = {f"isochrone:{key.replace('_', '-')}": value for key, value in changes.items()}
    found = {**yaml.safe_load(text)["config"], **changed}
    return {key: value for key, value in found.items() if value is not None}


def declared(stack: str, **changes: Any) -> Declaration:
    return declare(stack, config(stack, **changes), run)


@pytest.fixture(scope="module")
def baseline() -> Declaration:
    return declared("baseline")


def test_it_exports_where_users_and_operators_go(baseline: Declaration) -> None:
    assert baseline.exports["url"] == "wss://play.market.example/ws"
    assert baseline.exports["regional_names"] == {"eu-west-1": "eu-west-1.play.market.example"}
    assert baseline.exports["cost_per_hour"] == 2.352
    assert baseline.exports.keys() >= {"name_servers", "addresses", "dashboard_url", "monitoring_instance_id"}


def test_the_engine_runs_the_directory_and_finds_the_program_and_the_prices() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    directory = ROOT / project.get("main", ".")

    def program() -> None:
        runpy.run_path(str(directory), run_name="__main__")

    found = declare("baseline", config("baseline"), program)
    assert found == declare("baseline", config("baseline"), partial(run, present_prices(directory)))
    assert (project["name"], project["runtime"]["name"]) == ("isochrone", "python")


def test_no_export_is_or_has_a_secret(baseline: Declaration) -> None:
    assert SECRET not in str(baseline.exports)


def test_no_user_data_has_a_secret(baseline: Declaration) -> None:
    found = [*of_type(baseline.resources, "aws:ec2/launchTemplate:LaunchTemplate")]
    found += of_type(baseline.resources, "aws:ec2/instance:Instance")
    assert len(found) == 2
    assert all(SECRET not in str(resource.inputs.get("userData")) for resource in found)


def test_where_data_is_on_the_node_there_is_no_other_machine_for_it(baseline: Declaration) -> None:
    types = {resource.type for resource in baseline.resources}
    assert "aws:rds/instance:Instance" not in types
    assert "isochrone:infra:RedisServers" not in types
    assert "isochrone:infra:CoreGroup" not in types


def test_it_exports_the_server_that_each_region_reads_history_from() -> None:
    exports = declared("geo-ii").exports
    hosts, reads = exports["sql_hosts"], exports["sql_reads"]
    assert reads["ap-southeast-2"] == hosts["ap-southeast-1"]
    assert reads["us-west-1"] == hosts["us-west-2"]
    assert reads["sa-east-1"] == hosts["sa-east-1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"home": "mars-1", "zones": 9},
            r"(?s)isochrone:home.*isochrone:zones|isochrone:zones.*isochrone:home",
        ),
        ({"certificate": "given"}, "pulumi config set --secret"),
        ({"secrets": "plain"}, "give each secret by its key"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_declared(
    changes: Mapping[str, Any], message: str
) -> None:
    asked: list[str] = []

    def lookup(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(token)
        return answer(token, arguments)

    with pytest.raises(InfraError, match=message):
        declare("baseline", config("baseline", **changes), run, lookup)
    assert asked == []


def test_a_type_that_is_not_offered_is_refused_with_what_to_use_instead() -> None:
    def lookup(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answered = answer(token, arguments)
        return {**answered, "instanceTypes": []} if "InstanceTypeOfferings" in token else answered

    with pytest.raises(InfraError, match=r"c3\.8xlarge in eu-west-1.*c6i\.8xlarge"):
        declare("baseline", config("baseline"), run, lookup)


@pytest.mark.parametrize("question", ["getAmiIds", "getRandomPassword"])
def test_while_home_does_not_answer_no_run_succeeds(question: str) -> None:
    """So that nothing which an operator is told for the loss of the home region may begin with a run."""

    def lookup(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if token.endswith(question) and arguments["region"] == "eu-west-1":
            raise TimeoutError("no answer from eu-west-1")
        return answer(token, arguments)

    with pytest.raises(InfraError, match="no answer from eu-west-1"):
        declare("geo-ii", config("geo-ii"), run, lookup)


def test_given_secrets_are_read_by_key() -> None:
    values = {"isochrone:secrets": '{"token-key": "a"}', "isochrone:home": "eu-west-1"}
    assert given_secrets(values) == {"token-key": "a"}
    assert given_secrets({}) == {}


@pytest.mark.parametrize("value", ["hunter2", "[1]", '{"token-key": {"a": "hunter2"}}'])
def test_given_secrets_of_another_form_are_refused_without_a_word_of_them(value: str) -> None:
    with pytest.raises(GivenSecretError) as caught:
        given_secrets({"isochrone:secrets": value})
    assert "hunter2" not in str(caught.value)


OPEN_RULE: Mapping[str, Any] = {
    "region": "eu-west-1",
    "security_group_id": "sg-1",
    "ip_protocol": "tcp",
    "from_port": 22,
    "to_port": 22,
    "cidr_ipv4": "0.0.0.0/0",
    "tags": {"isochrone:stack": "test"},
}


@pytest.mark.parametrize(
    ("stack", "part", "changes"),
    [("geo-i", "Zone", {}), ("image", "declare_images", {"snapshot": "snap-0123456789abcdef0"})],
)
def test_the_guard_rails_look_at_all_that_a_stack_declares(
    monkeypatch: pytest.MonkeyPatch, stack: str, part: str, changes: Mapping[str, Any]
) -> None:
    made = getattr(program, part)

    def with_an_open_rule(*args: Any) -> Any:
        aws.vpc.SecurityGroupIngressRule("door", **OPEN_RULE)
        return made(*args)

    monkeypatch.setattr(program, part, with_an_open_rule)
    with pytest.raises(InfraError, match=r"door is not allowed:\n.*to the world"):
        declared(stack, **changes)


@pytest.mark.parametrize("check", [name for name in vars(preflight) if name.startswith("check_")])
def test_aws_is_asked_before_anything_is_declared(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    def refuse(_: object) -> None:
        raise preflight.PreflightError([check])

    monkeypatch.setattr(preflight, check, refuse)
    monkeypatch.setattr(program, "Zone", None)
    with pytest.raises(InfraError, match=f"AWS cannot make this stack:\n  {check}"):
        declared("geo-i")
