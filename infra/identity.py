"""Who a machine is on AWS: a role, its policy and its instance profile for each kind of machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.flows import Role, places
from infra.policies import TRUST, Grants, policy
from infra.secret_names import SecretKey
from infra.site import Site


@dataclass(frozen=True)
class IdentityArgs:
    """What the roles may use.

    Args:
        site: the stack's architecture and names.
        secret_arns: the ARNs of the secrets in the home region, by key.
        zone_id: the hosted zone of the domain.
    """

    site: Site
    secret_arns: Mapping[SecretKey, pulumi.Input[str]]
    zone_id: pulumi.Input[str]


class Identity(pulumi.ComponentResource):
    """An instance profile for each kind of machine of the architecture; RDS needs none of ours.

    A profile is there only when its role may do all that it has to, so that no machine boots too early.
    """

    profiles: Mapping[Role, pulumi.Output[str]]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:Identity", name, None, opts)
        self._name = name
        self._site = args.site
        grants = pulumi.Output.all(
            account=aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id,
            zone_id=args.zone_id,
            secret_arns=pulumi.Output.all(**dict(args.secret_arns)),
        ).apply(lambda known: Grants(**known))
        roles = dict.fromkeys(place.role for place in places(args.site.architecture) if place.role != "sql")
        self.profiles = {role: self._profile(role, grants) for role in roles}
        self.register_outputs({"profiles": self.profiles})

    def _profile(self, role: Role, grants: pulumi.Output[Grants]) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        tags = self._site.tags(role, role=role)
        identity = aws.iam.Role(
            f"{self._name}-{role}",
            name=self._site.name(role),
            description=f"The {role} machines of {self._site.architecture.name}",
            assume_role_policy=_text(TRUST),
            tags=tags,
            opts=child,
        )
        allowed = aws.iam.RolePolicy(
            f"{self._name}-{role}",
            name=role,
            role=identity.name,
            policy=grants.apply(partial(_policy_text, self._site, role)),
            opts=child,
        )
        return aws.iam.InstanceProfile(
            f"{self._name}-{role}",
            name=self._site.name(role),
            role=identity.name,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        ).name


def _policy_text(site: Site, role: Role, grants: Grants) -> str:
    return _text(policy(site, role, grants))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
