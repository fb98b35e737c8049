"""What each kind of machine may do, action by action, and on what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra.architecture import Architecture, LoadFleet
from infra.flows import Role, places
from infra.policies import INLINE_POLICY_LIMIT, TRUST, Grants, policy
from infra.secret_names import SECRET_KEYS
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")
ACCOUNT = "123456789012"
GRANTS = Grants(
    ACCOUNT,
    "Z0123456789ABC",
    {
        key: f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:isochrone/s/{key}-AbCdEf"
        for key in SECRET_KEYS
    },
)

EVERY = {
    "cloudwatch:PutMetricData",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
READING = {"secretsmanager:GetSecretValue"}
GROUPED = {"autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"}
ADDRESSED = {"ec2:AssociateAddress", "ec2:DescribeAddresses"}
FINDING = {"ec2:DescribeInstances"}
CERTIFYING = {"route53:ChangeResourceRecordSets", "route53:GetChange", "secretsmanager:PutSecretValue"}
MEASURING = {"s3:GetObject", "s3:PutObject"}


def document(stack: str | Architecture, role: Role) -> Mapping[str, Any]:
    architecture = load(stack, ROOT) if isinstance(stack, str) else stack
    return policy(Site(architecture), role, GRANTS)


def with_load(stack: str) -> Architecture:
    return replace(load(stack, ROOT), load=LoadFleet())


def every_document() -> Iterator[tuple[str, Role, Mapping[str, Any]]]:
    for stack in STACKS:
        architecture = with_load(stack)
        for role in {place.role for place in places(architecture) if place.role != "sql"}:
            yield stack, role, document(architecture, role)


def statements(found: Mapping[str, Any], action: str) -> list[Mapping[str, Any]]:
    return [statement for statement in found["Statement"] if action in statement["Action"]]


def resources(found: Mapping[str, Any], action: str) -> list[str]:
    return [arn for statement in statements(found, action) for arn in statement["Resource"]]


@pytest.mark.parametrize(
    ("stack", "role", "expected"),
    [
        (with_load("geo-i"), "load", EVERY | GROUPED | MEASURING),
        (with_load("geo-i"), "core", EVERY | READING | GROUPED | CERTIFYING | FINDING | {"s3:PutObject"}),
        (with_load("geo-i"), "node", EVERY | READING | GROUPED | ADDRESSED),
        ("baseline", "node", EVERY | READING | GROUPED | ADDRESSED | CERTIFYING | FINDING),
        ("baseline", "monitoring", EVERY | FINDING),
        ("geo-i", "node", EVERY | READING | GROUPED | ADDRESSED),
        ("geo-i", "core", EVERY | READING | GROUPED | CERTIFYING | FINDING),
        ("geo-i", "redis", EVERY | READING),
        ("geo-ii", "node", EVERY | READING | GROUPED | ADDRESSED),
        ("geo-ii", "monitoring", EVERY | FINDING),
    ],
)
def test_a_role_may_do_what_it_has_to_and_nothing_else(
    stack: str | Architecture, role: Role, expected: set[str]
) -> None:
    found = document(stack, role)
    assert {action for statement in found["Statement"] for action in statement["Action"]} == expected


def test_no_action_and_no_resource_is_a_bare_wildcard_without_a_condition() -> None:
    for stack, role, found in every_document():
        for statement in found["Statement"]:
            assert not any("*" in action for action in statement["Action"]), (stack, role)
            assert statement["Resource"], (stack, role)
            if "*" in statement["Resource"]:
                assert statement["Condition"]["StringEquals"], (stack, role, statement["Sid"])


def test_metrics_are_of_the_projects_namespace_only() -> None:
    (statement,) = statements(document("geo-i", "redis"), "cloudwatch:PutMetricData")
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Isochrone"}}


def test_a_machine_writes_to_the_log_group_of_its_own_role_only() -> None:
    assert resources(document("geo-ii", "core"), "logs:PutLogEvents") == [
        f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/isochrone/geo-ii/core:*"
    ]


def test_a_node_reads_the_copies_of_its_secrets_in_the_regions_of_nodes() -> None:
    architecture = load("geo-ii", ROOT)
    found = resources(document("geo-ii", "node"), "secretsmanager:GetSecretValue")
    assert sorted(found) == sorted(
        f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:isochrone/s/{key}-AbCdEf"
        for region in architecture.nodes.regions
        for key in ("redis-password", "sql-reader", "token-key", "tls-certificate")
    )


def test_the_core_reads_at_home_only_and_writes_the_certificate_only() -> None:
    found = document("geo-ii", "core")
    assert all(":eu-west-1:" in arn for arn in resources(found, "secretsmanager:GetSecretValue"))
    assert resources(found, "secretsmanager:PutSecretValue") == [GRANTS.secret_arns["tls-certificate"]]


@pytest.mark.parametrize(("stack", "role"), [("baseline", "node"), ("geo-i", "core")])
def test_the_steward_changes_the_record_of_the_challenge_and_no_other(stack: str, role: Role) -> None:
    (statement,) = statements(document(stack, role), "route53:ChangeResourceRecordSets")
    assert statement["Resource"] == ["arn:aws:route53:::hostedzone/Z0123456789ABC"]
    assert statement["Condition"]["ForAllValues:StringEquals"] == {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.play.market.example"],
        "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
        "route53:ChangeResourceRecordSetsActions": ["UPSERT", "DELETE"],
    }


@pytest.mark.parametrize(("stack", "role"), [("baseline", "node"), ("geo-i", "core")])
def test_a_certificate_that_is_given_needs_no_challenge(stack: str, role: Role) -> None:
    found = document(replace(load(stack, ROOT), certificate="given"), role)
    assert not any(statements(found, action) for action in CERTIFYING)


def test_a_node_takes_addresses_of_its_stack_for_machines_of_its_stack() -> None:
    (statement,) = statements(document("geo-i", "node"), "ec2:AssociateAddress")
    assert statement["Condition"] == {"StringEquals": {"ec2:ResourceTag/isochrone:stack": "geo-i"}}
    kinds = {arn.split(":")[5] for arn in statement["Resource"]}
    assert kinds == {"elastic-ip/*", "instance/*", "network-interface/*"}


def test_a_machine_reports_on_its_own_group_only() -> None:
    node, core = (
        resources(document("geo-i", role), "autoscaling:SetInstanceHealth") for role in ("node", "core")
    )
    group = f"arn:aws:autoscaling:eu-west-1:{ACCOUNT}:autoScalingGroup:id:autoScalingGroupName/"
    for arns, allowed, refused in (
        (node, "isochrone-geo-i-node-eu-west-1", "isochrone-geo-i-core-eu-west-1"),
        (core, "isochrone-geo-i-core-eu-west-1", "isochrone-geo-i-node-eu-west-1"),
    ):
        assert any(fnmatchcase(group + allowed, arn) for arn in arns)
        assert not any(fnmatchcase(group + refused, arn) for arn in arns)
        assert not any(fnmatchcase(f"{group}{allowed}-other", arn) for arn in arns)


@pytest.mark.parametrize(
    ("role", "regions"), [("core", set(load("geo-i", ROOT).nodes.regions)), ("monitoring", {"eu-west-1"})]
)
def test_machines_are_found_in_the_regions_that_can_be_asked_only(role: Role, regions: set[str]) -> None:
    (statement,) = statements(document("geo-i", role), "ec2:DescribeInstances")
    assert set(statement["Condition"]["StringEquals"]["aws:RequestedRegion"]) == regions


def test_the_policy_of_a_stack_with_the_longest_name_fits() -> None:
    longest = replace(with_load("geo-ii"), name="a" * 31)
    arns = {key: arn.replace("/s/", f"/{'a' * 31}/") for key, arn in GRANTS.secret_arns.items()}
    for role in {place.role for place in places(longest) if place.role != "sql"}:
        text = json.dumps(policy(Site(longest), role, replace(GRANTS, secret_arns=arns)))
        assert len("".join(text.split())) <= INLINE_POLICY_LIMIT, role


def test_only_a_machine_takes_on_a_role() -> None:
    (statement,) = TRUST["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRole"
