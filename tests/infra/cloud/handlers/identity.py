"""Who may do what: roles, policies, instance profiles."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import identity as refuse
from tests.infra.cloud.refusals.policies import check_policy
from tests.infra.cloud.registry import Made, Place, handler


def _tags(inputs: Inputs) -> dict[str, Any]:
    tags = inputs.tags()
    return {"Tags": tag_list(tags)} if tags else {}


@handler("aws:iam/role:Role")
def role(place: Place, inputs: Inputs) -> Made:
    inputs.only("forceDetachPolicies", True, False)
    params = inputs.params(
        name="RoleName",
        assumeRolePolicy="AssumeRolePolicyDocument",
        description="Description",
        path="Path",
        maxSessionDuration="MaxSessionDuration",
        permissionsBoundary="PermissionsBoundary",
    )
    refuse.misnamed(params["RoleName"])
    refuse.misdescribed(params.get("Description", ""))
    check_policy(params["AssumeRolePolicyDocument"], principal=True, most=2048)
    made = place.client("iam").create_role(**params, **_tags(inputs))["Role"]
    return Made(made["RoleName"], {"arn": made["Arn"], "uniqueId": made["RoleId"]})


@handler("aws:iam/rolePolicy:RolePolicy")
def role_policy(place: Place, inputs: Inputs) -> Made:
    role_name, name, policy = inputs.take("role"), inputs.take("name"), inputs.take("policy")
    refuse.misnamed(name)
    check_policy(policy, principal=False, most=10_240)
    refuse.too_much_in_line(place, role_name, policy)
    place.client("iam").put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=policy)
    return Made(f"{role_name}:{name}")


@handler("aws:iam/policy:Policy")
def policy(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(name="PolicyName", policy="PolicyDocument", description="Description", path="Path")
    refuse.misnamed(params["PolicyName"])
    check_policy(params["PolicyDocument"], principal=False)
    made = place.client("iam").create_policy(**params, **_tags(inputs))["Policy"]
    return Made(made["Arn"], {"arn": made["Arn"], "policyId": made["PolicyId"]})


@handler("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def role_policy_attachment(place: Place, inputs: Inputs) -> Made:
    role_name, arn = inputs.take("role"), inputs.take("policyArn")
    place.client("iam").attach_role_policy(RoleName=role_name, PolicyArn=arn)
    return Made(f"{role_name}-{arn}")


@handler("aws:iam/instanceProfile:InstanceProfile")
def instance_profile(place: Place, inputs: Inputs) -> Made:
    iam = place.client("iam")
    params = inputs.params(name="InstanceProfileName", path="Path")
    refuse.misnamed(params["InstanceProfileName"], most=128)
    made = iam.create_instance_profile(**params, **_tags(inputs))["InstanceProfile"]
    if "role" in inputs:
        iam.add_role_to_instance_profile(
            InstanceProfileName=made["InstanceProfileName"], RoleName=inputs.take("role")
        )
    return Made(made["InstanceProfileName"], {"arn": made["Arn"], "uniqueId": made["InstanceProfileId"]})
