"""Each kind of machine has a role, a policy and a profile of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from infra.declaration import Declaration, of_type
from infra.identity import Identity, IdentityArgs
from infra.offline import declare
from infra.policies import TRUST, Grants, policy
from infra.secret_names import SECRET_KEYS, SecretKey
from infra.site import Site
from infra.stackfile import load
from tests.infra.options import depended_on, options

ROOT = Path(__file__).parents[2]
ARNS: Mapping[SecretKey, str] = {
    key: f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{key}-AbCdEf" for key in SECRET_KEYS
}


def site_of(stack: str) -> Site:
    return Site(load(stack, ROOT))


def declared(stack: str) -> Declaration:
    def program() -> None:
        identity = Identity("identity", IdentityArgs(site_of(stack), ARNS, "Z0123456789ABC"))
        for role, profile in identity.profiles.items():
            pulumi.export(role, profile)

    return declare(stack, {}, program)


@pytest.mark.parametrize(
    ("stack", "roles"),
    [
        ("baseline", {"node", "monitoring"}),
        ("geo-i", {"node", "core", "redis", "monitoring"}),
        ("geo-ii", {"node", "core", "redis", "monitoring"}),
    ],
)
def test_every_kind_of_machine_of_ours_has_a_profile_named_after_it(stack: str, roles: set[str]) -> None:
    found = declared(stack)
    assert found.exports == {role: f"isochrone-{stack}-{role}" for role in roles}
    for type_ in ("role:Role", "instanceProfile:InstanceProfile"):
        resources = list(of_type(found.resources, f"aws:iam/{type_}"))
        assert {r.inputs["name"] for r in resources} == set(found.exports.values())
        assert all(r.inputs["tags"]["isochrone:stack"] == stack for r in resources)


def test_a_role_has_its_own_policy_and_only_machines_take_it_on() -> None:
    found = declared("geo-i")
    policies = {r.inputs["role"]: r.inputs for r in of_type(found.resources, "aws:iam/rolePolicy:RolePolicy")}
    grants = Grants("123456789012", "Z0123456789ABC", {str(key): arn for key, arn in ARNS.items()})
    assert len(policies) == 4
    for name, inputs in policies.items():
        assert json.loads(inputs["policy"]) == policy(site_of("geo-i"), inputs["name"], grants)
        assert name == f"isochrone-geo-i-{inputs['name']}"
    for role in of_type(found.resources, "aws:iam/role:Role"):
        assert json.loads(role.inputs["assumeRolePolicy"]) == TRUST


def test_no_machine_boots_before_its_role_may_do_what_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = options(monkeypatch, aws.iam.RolePolicy)
    profiles = options(monkeypatch, aws.iam.InstanceProfile)
    declared("geo-i")
    assert len(policies) == 4
    assert {name: depended_on(found) for name, found in profiles.items()} == {
        name: [name] for name in policies
    }
