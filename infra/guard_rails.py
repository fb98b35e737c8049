"""What no resource of a stack may be, whoever declares it: a violation fails the program with its name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Final

import pulumi

from infra.addresses import AddressPlanError, check_disjoint
from infra.errors import InfraError
from infra.flows import HTTP_PORT, HTTPS_PORT

OPEN_PORTS: Final = frozenset({HTTP_PORT, HTTPS_PORT})
"""What the world may reach."""

OURS: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""The private address ranges (RFC 1918); what is not within one of them is the world."""

STACK_TAG: Final = "isochrone:stack"

DATA: Final = frozenset(
    {
        "aws:ebs/volume:Volume",
        "aws:kms/key:Key",
        "aws:rds/instance:Instance",
        "aws:route53/zone:Zone",
        "aws:secretsmanager/secret:Secret",
    }
)
"""The types that hold what cannot be made again."""

REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "aws:iam/policyAttachment:PolicyAttachment",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive",
            "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
        ),
        "gives what is not looked at here: write the statements that are needed as a RolePolicy",
    ),
    **dict.fromkeys(
        (
            "aws:iam/accessKey:AccessKey",
            "aws:iam/groupPolicy:GroupPolicy",
            "aws:iam/user:User",
            "aws:iam/userPolicy:UserPolicy",
            "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        ),
        "is for a person or a stored key: machines have roles",
    ),
    "aws:ec2/securityGroupRule:SecurityGroupRule": (
        "is not looked at here: declare a SecurityGroupIngressRule or a SecurityGroupEgressRule"
    ),
}
"""The types that no stack may have, and what to do instead."""

_INGRESS: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_SQL: Final = "aws:rds/instance:Instance"
_LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_EVERYTHING: Final = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:\*")
"""A resource that is any: of all services or of one."""

POLICIES: Final[Mapping[str, str]] = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/role:Role": "assume_role_policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
}
"""The types that have a policy, and the input in which it is."""


class GuardRailError(InfraError):
    """A resource is what none may be; the message names it and says what to change."""


@dataclass
class GuardRails:
    """The guard rails of one stack, as a transformation of all that it declares.

    Args:
        protect: whether the stack's data is protected.
    """

    protect: bool
    _networks: dict[str, IPv4Network] = field(default_factory=dict)

    def __call__(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        """Refuse a resource that is what none may be, as soon as it is declared.

        Raises:
            GuardRailError: with every violation of the resource.
        """
        props: Mapping[str, Any] = args.props or {}
        found = [*violations(args.type_, props), *self._unprotected(args), *self._overlapping(args)]
        _refuse(args.type_, args.name, found)
        # What is not known yet is looked at as soon as it is.
        if args.type_ == _INGRESS and isinstance(props.get("cidr_ipv4"), pulumi.Output):
            return _later(args, "cidr_ipv4", lambda source: _ingress({**props, "cidr_ipv4": source}))
        policy = POLICIES.get(args.type_)
        if policy is None or props.get(policy) is None:
            return None
        return _later(args, policy, policy_violations)

    def _unprotected(self, args: pulumi.ResourceTransformationArgs) -> Iterator[str]:
        if not self.protect:
            return
        if args.type_ in DATA and not args.opts.protect:
            yield "holds data and is not protected: declare it with protect=True"
        if args.type_ == _SQL and args.props.get("deletion_protection") is not True:
            yield "may be deleted by whoever may: set deletion_protection to True"
        if (
            args.type_ == _SQL
            and args.props.get("skip_final_snapshot")
            and args.props.get("replicate_source_db") is None
        ):
            yield "leaves no snapshot when it is deleted: set skip_final_snapshot to False"
        if args.props.get("force_destroy"):
            yield "is deleted with what is in it: set force_destroy to False"

    def _overlapping(self, args: pulumi.ResourceTransformationArgs) -> Iterator[str]:
        if args.type_ != "aws:ec2/vpc:Vpc":
            return
        self._networks[args.name] = IPv4Network(args.props["cidr_block"])
        try:
            check_disjoint(self._networks)
        except AddressPlanError as error:
            yield f"{error}: networks that may be peered have to be apart"


def violations(type_: str, props: Mapping[str, Any]) -> Iterator[str]:
    """What a resource is that none may be.

    Args:
        type_: its type token.
        props: its inputs by their Python names; what is not known yet is left to AWS.
    """
    if type_ in REFUSED:
        yield REFUSED[type_]
    if type_.startswith("aws:"):
        yield from _untagged(type_, props)
    yield from _CHECKS.get(type_, _nothing)(props)


def policy_violations(document: str) -> Iterator[str]:
    """What a policy allows that none may allow.

    An action by a pattern, any resource without a condition that bounds it, all but what it names, and to be
    used by anybody.

    Args:
        document: the policy as JSON.
    """
    statements = json.loads(document)["Statement"]
    for statement in [statements] if isinstance(statements, dict) else statements:
        if statement["Effect"] != "Allow":
            continue
        for exception in ("NotAction", "NotPrincipal", "NotResource"):
            if exception in statement:
                yield f"allows all but what {exception} has: name what is meant"
        for action in _listed(statement.get("Action", [])):
            if "*" in action or "?" in action:
                yield f"allows every action like {action}: name those that are needed"
        bounded = bool(statement.get("Condition"))
        everything = [each for each in _listed(statement.get("Resource", [])) if _EVERYTHING.fullmatch(each)]
        if everything and not bounded:
            actions = ", ".join(_listed(statement.get("Action", "*")))
            yield f"allows {actions} on every resource: name those that are meant, or add a condition"
        if "*" in _principals(statement.get("Principal", {})) and not bounded:
            yield "is open to everybody: name the principal"


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, str):
        return [principal]
    return [each for names in principal.values() for each in _listed(names)]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _later(
    args: pulumi.ResourceTransformationArgs, key: str, check: Callable[[str], Iterator[str]]
) -> pulumi.ResourceTransformationResult:
    """The resource with an input that is looked at when it is known."""

    def checked(value: str) -> str:
        _refuse(args.type_, args.name, list(check(value)))
        return value

    props = {**args.props, key: pulumi.Output.from_input(args.props[key]).apply(checked)}
    return pulumi.ResourceTransformationResult(props, args.opts)


def _refuse(type_: str, name: str, found: Sequence[str]) -> None:
    if found:
        raise GuardRailError(
            "\n".join([f"{type_} {name} is not allowed:", *(f"  {violation}" for violation in found)])
        )


def _nothing(_: Mapping[str, Any]) -> Iterator[str]:
    yield from ()


def _untagged(type_: str, props: Mapping[str, Any]) -> Iterator[str]:
    if type_ == _LAUNCH_TEMPLATE:
        for specification in props.get("tag_specifications") or [None]:
            if specification is None or STACK_TAG not in (specification.tags or {}):
                yield f"lacks the tag {STACK_TAG} on what it launches"
        return
    if "tags" not in props:
        return
    tags = props["tags"] or {}
    keys = tags if isinstance(tags, Mapping) else {tag.key for tag in tags}
    if STACK_TAG not in keys:
        yield f"lacks the tag {STACK_TAG}: give it the tags of its site"


def _ingress(props: Mapping[str, Any]) -> Iterator[str]:
    source = props.get("cidr_ipv4")
    wide = isinstance(source, str) and not any(IPv4Network(source).subnet_of(range_) for range_ in OURS)
    first, last, protocol = (props.get(key) for key in ("from_port", "to_port", "ip_protocol"))
    if not wide and not props.get("cidr_ipv6"):
        return
    if protocol != "tcp" or first != last or first not in OPEN_PORTS:
        yield f"opens {first} to {last} ({protocol}) to the world: only 443 and 80 by TCP may be open"


def _role(props: Mapping[str, Any]) -> Iterator[str]:
    for key in ("inline_policies", "managed_policy_arns"):
        if props.get(key):
            yield f"gives by {key} what is not looked at here: declare a RolePolicy"


def _security_group(props: Mapping[str, Any]) -> Iterator[str]:
    if props.get("ingress") or props.get("egress"):
        yield "has rules of its own: declare each as a resource, where it is checked"


def _machine(props: Mapping[str, Any]) -> Iterator[str]:
    yield from _metadata(props.get("metadata_options"))
    disk = props.get("root_block_device")
    if disk is None or disk.encrypted is not True:
        yield "has a root disk that is not encrypted"
    if any(each.encrypted is not True for each in props.get("ebs_block_devices") or []):
        yield "has a further disk that is not encrypted"


def _launch_template(props: Mapping[str, Any]) -> Iterator[str]:
    yield from _metadata(props.get("metadata_options"))
    disks = props.get("block_device_mappings") or []
    if not disks or any(disk.ebs is None or disk.ebs.encrypted != "true" for disk in disks):
        yield "launches machines with a disk that is not encrypted"


def _metadata(options: Any) -> Iterator[str]:
    if options is None or options.http_tokens != "required":
        yield "answers metadata requests without a token: set http_tokens to required"


def _sql(props: Mapping[str, Any]) -> Iterator[str]:
    if props.get("storage_encrypted") is not True:
        yield "is not encrypted"
    if props.get("publicly_accessible") is not False:
        yield "has a public address: set publicly_accessible to False"


def _encrypted(props: Mapping[str, Any]) -> Iterator[str]:
    if props.get("encrypted") is not True:
        yield "is not encrypted"


def _image(props: Mapping[str, Any]) -> Iterator[str]:
    if props.get("imds_support") != "v2.0":
        yield "has machines that answer metadata requests without a token: set imds_support to v2.0"


_BLOCKS: Final = (
    "block_public_acls",
    "block_public_policy",
    "ignore_public_acls",
    "restrict_public_buckets",
)


def _bucket(props: Mapping[str, Any]) -> Iterator[str]:
    if props.get("acl") not in (None, "private") or props.get("grants") or props.get("website"):
        yield "is open to others than the account: leave acl, grants and website out"


def _bucket_block(props: Mapping[str, Any]) -> Iterator[str]:
    if open_ := [key for key in _BLOCKS if props.get(key) is not True]:
        yield f"lets a bucket be opened to the world: set {', '.join(open_)} to True"


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "aws:ebs/volume:Volume": _encrypted,
    "aws:ec2/ami:Ami": _image,
    "aws:ec2/amiCopy:AmiCopy": _encrypted,
    "aws:ec2/instance:Instance": _machine,
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:iam/role:Role": _role,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_block,
    _INGRESS: _ingress,
    _LAUNCH_TEMPLATE: _launch_template,
    _SQL: _sql,
}
