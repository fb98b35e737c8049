"""No resource gets past the guard rails: each violation is refused with the resource's name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.runtime import register_stack_transformation

from infra.errors import InfraError
from infra.guard_rails import DATA, POLICIES, GuardRailError, GuardRails, policy_violations
from infra.offline import declare

TAGS = {"isochrone:stack": "test"}
REGION = "eu-west-1"
IMDSV2 = aws.ec2.InstanceMetadataOptionsArgs(http_tokens="required")
ENCRYPTED = aws.ec2.InstanceRootBlockDeviceArgs(encrypted=True)
PROTECTED = pulumi.ResourceOptions(protect=True)
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
TRUST = json.dumps(
    {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    }
)
OPEN_TO_ALL = json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": "arn:x"}}
)


def guarded(declares: Callable[[], object], *, protect: bool = True) -> None:
    def program() -> None:
        register_stack_transformation(GuardRails(protect))
        declares()

    declare("test", {}, program)


def instance(**changes: Any) -> aws.ec2.Instance:
    right: dict[str, Any] = {"metadata_options": IMDSV2, "root_block_device": ENCRYPTED, "tags": TAGS}
    return aws.ec2.Instance("it", region=REGION, ami="ami-1", **{**right, **changes})


def ingress(port: int, source: pulumi.Input[str], protocol: str = "tcp") -> aws.vpc.SecurityGroupIngressRule:
    return aws.vpc.SecurityGroupIngressRule(
        "it",
        region=REGION,
        security_group_id="sg-1",
        ip_protocol=protocol,
        from_port=port,
        to_port=port,
        cidr_ipv4=source,
        tags=TAGS,
    )


def server(opts: pulumi.ResourceOptions | None = None, **changes: Any) -> aws.rds.Instance:
    right: dict[str, Any] = {
        "storage_encrypted": True,
        "publicly_accessible": False,
        "deletion_protection": True,
        "tags": TAGS,
    }
    return aws.rds.Instance(
        "it", region=REGION, instance_class="db.r5.large", **{**right, **changes}, opts=opts or PROTECTED
    )


def template(**changes: Any) -> aws.ec2.LaunchTemplate:
    disk = aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(encrypted="true")
    right: dict[str, Any] = {
        "metadata_options": aws.ec2.LaunchTemplateMetadataOptionsArgs(http_tokens="required"),
        "block_device_mappings": [aws.ec2.LaunchTemplateBlockDeviceMappingArgs(ebs=disk)],
        "tag_specifications": [
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type="instance", tags=TAGS)
        ],
    }
    return aws.ec2.LaunchTemplate("it", region=REGION, **{**right, **changes})


def networks(*ranges: str) -> None:
    for number, cidr in enumerate(ranges):
        aws.ec2.Vpc(f"it-{number}", region=REGION, cidr_block=cidr, tags=TAGS)


def disk(*, encrypted: bool) -> aws.ec2.InstanceEbsBlockDeviceArgs:
    return aws.ec2.InstanceEbsBlockDeviceArgs(device_name="/dev/sdb", encrypted=encrypted)


def block(**changes: bool) -> aws.s3.BucketPublicAccessBlock:
    right: dict[str, Any] = {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    }
    return aws.s3.BucketPublicAccessBlock("it", region=REGION, bucket="b", **{**right, **changes})


def role(**changes: Any) -> aws.iam.Role:
    return aws.iam.Role("it", assume_role_policy=TRUST, tags=TAGS, **changes)


RIGHT: list[Callable[[], object]] = [
    instance,
    server,
    template,
    lambda: ingress(443, "0.0.0.0/0"),
    lambda: ingress(6379, "10.1.0.0/17"),
    lambda: ingress(6379, pulumi.Output.from_input("10.1.0.0/17")),
    role,
    lambda: server(replicate_source_db="arn:x", skip_final_snapshot=True),
    lambda: instance(ebs_block_devices=[disk(encrypted=True)]),
    lambda: networks("10.1.0.0/16", "10.2.0.0/16"),
    block,
    lambda: aws.s3.Bucket("it", region=REGION, tags=TAGS),
]

WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: instance(tags=None), "lacks the tag"),
    (lambda: aws.s3.Bucket("it", region=REGION, tags=None), "lacks the tag"),
    (lambda: aws.s3.Bucket("it", region=REGION, tags=TAGS, acl="public-read"), "open to others"),
    (lambda: block(restrict_public_buckets=False), "set restrict_public_buckets to True"),
    (lambda: aws.s3.BucketPolicy("it", region=REGION, bucket="b", policy=OPEN_TO_ALL), "open to everybody"),
    (lambda: instance(metadata_options=None), "without a token"),
    (lambda: instance(root_block_device=None), "not encrypted"),
    (lambda: ingress(6379, "0.0.0.0/0"), "to the world"),
    (lambda: ingress(22, "0.0.0.0/1"), "to the world"),
    (lambda: ingress(22, "52.0.0.0/8"), "to the world"),
    (lambda: ingress(22, "203.0.113.7/32"), "to the world"),
    (lambda: ingress(22, pulumi.Output.from_input("0.0.0.0/0")), "to the world"),
    (lambda: ingress(443, "0.0.0.0/0", "-1"), "to the world"),
    (lambda: ingress(443, "0.0.0.0/0", "udp"), "to the world"),
    (lambda: instance(ebs_block_devices=[disk(encrypted=False)]), "further disk that is not encrypted"),
    (lambda: server(deletion_protection=False), "set deletion_protection to True"),
    (lambda: server(skip_final_snapshot=True), "set skip_final_snapshot to False"),
    (
        lambda: aws.s3.Bucket("it", region=REGION, tags=TAGS, force_destroy=True),
        "set force_destroy to False",
    ),
    (
        lambda: role(managed_policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        "managed_policy_arns",
    ),
    (lambda: role(inline_policies=[aws.iam.RoleInlinePolicyArgs(name="x", policy="{}")]), "inline_policies"),
    (
        lambda: aws.iam.RolePolicyAttachment("it", role="r", policy_arn=ADMINISTRATOR),
        "write the statements that are needed as a RolePolicy",
    ),
    (lambda: aws.iam.UserPolicy("it", user="u", policy="{}"), "machines have roles"),
    (
        lambda: aws.ec2.SecurityGroupRule(
            "it",
            region=REGION,
            type="ingress",
            security_group_id="sg-1",
            protocol="tcp",
            from_port=22,
            to_port=22,
            cidr_blocks=["0.0.0.0/0"],
        ),
        "declare a SecurityGroupIngressRule",
    ),
    (
        lambda: aws.ec2.AmiCopy(
            "it", region=REGION, source_ami_id="ami-1", source_ami_region=REGION, encrypted=False, tags=TAGS
        ),
        "not encrypted",
    ),
    (
        lambda: aws.ec2.Ami("it", region=REGION, imds_support=None, tags=TAGS),
        "set imds_support to v2.0",
    ),
    (lambda: server(storage_encrypted=False), "not encrypted"),
    (lambda: server(publicly_accessible=True), "public address"),
    (lambda: server(pulumi.ResourceOptions()), "is not protected"),
    (lambda: template(metadata_options=None), "without a token"),
    (lambda: template(block_device_mappings=[]), "not encrypted"),
    (lambda: template(tag_specifications=None), "lacks the tag"),
    (lambda: networks("10.1.0.0/16", "10.1.128.0/17"), "overlap"),
    (
        lambda: aws.ebs.Volume("it", region=REGION, availability_zone="a", tags=TAGS, opts=PROTECTED),
        "not encrypted",
    ),
    (
        lambda: aws.ec2.SecurityGroup(
            "it",
            region=REGION,
            tags=TAGS,
            ingress=[aws.ec2.SecurityGroupIngressArgs(from_port=1, to_port=1, protocol="tcp")],
        ),
        "rules of its own",
    ),
    (lambda: aws.sns.TopicPolicy("it", region=REGION, arn="arn:x", policy=OPEN_TO_ALL), "open to everybody"),
]


@pytest.mark.parametrize("declares", RIGHT)
def test_what_is_right_passes(declares: Callable[[], object]) -> None:
    guarded(declares)


@pytest.mark.parametrize(("declares", "message"), WRONG)
def test_what_is_wrong_is_refused_by_name(declares: Callable[[], object], message: str) -> None:
    with pytest.raises(InfraError, match=r"(?s)\bit\b.* is not allowed|it-1 is not allowed") as caught:
        guarded(declares)
    assert message in str(caught.value)


HOLDING: dict[str, Callable[[pulumi.ResourceOptions], object]] = {
    "aws:ebs/volume:Volume": lambda opts: aws.ebs.Volume(
        "it", region=REGION, availability_zone="a", encrypted=True, tags=TAGS, opts=opts
    ),
    "aws:kms/key:Key": lambda opts: aws.kms.Key("it", region=REGION, tags=TAGS, opts=opts),
    "aws:rds/instance:Instance": server,
    "aws:route53/zone:Zone": lambda opts: aws.route53.Zone("it", name="a.example", tags=TAGS, opts=opts),
    "aws:secretsmanager/secret:Secret": lambda opts: aws.secretsmanager.Secret(
        "it", region=REGION, tags=TAGS, opts=opts
    ),
}


@pytest.mark.parametrize("type_", sorted(DATA | HOLDING.keys()))
def test_whatever_holds_data_is_protected(type_: str) -> None:
    guarded(lambda: HOLDING[type_](PROTECTED))
    with pytest.raises(InfraError, match=f"{type_} it is not allowed:\n  holds data and is not protected"):
        guarded(lambda: HOLDING[type_](pulumi.ResourceOptions()))


SAYING: dict[str, Callable[[str], object]] = {
    "aws:iam/policy:Policy": lambda text: aws.iam.Policy("it", policy=text, tags=TAGS),
    "aws:iam/role:Role": lambda text: aws.iam.Role("it", assume_role_policy=text, tags=TAGS),
    "aws:iam/rolePolicy:RolePolicy": lambda text: aws.iam.RolePolicy("it", role="r", policy=text),
    "aws:kms/key:Key": lambda text: aws.kms.Key("it", region=REGION, policy=text, tags=TAGS, opts=PROTECTED),
    "aws:s3/bucketPolicy:BucketPolicy": lambda text: aws.s3.BucketPolicy(
        "it", region=REGION, bucket="b", policy=text
    ),
    "aws:secretsmanager/secret:Secret": lambda text: aws.secretsmanager.Secret(
        "it", region=REGION, policy=text, tags=TAGS, opts=PROTECTED
    ),
    "aws:sns/topicPolicy:TopicPolicy": lambda text: aws.sns.TopicPolicy(
        "it", region=REGION, arn="arn:x", policy=text
    ),
}


@pytest.mark.parametrize("type_", sorted(POLICIES.keys() | SAYING.keys()))
@pytest.mark.parametrize("later", [False, True], ids=["known", "known later"])
def test_whatever_has_a_policy_has_it_looked_at(type_: str, later: bool) -> None:
    def text(document: str) -> Any:
        return pulumi.Output.from_input(document) if later else document

    guarded(lambda: SAYING[type_](text(TRUST)))
    with pytest.raises(InfraError, match=f"{type_} it is not allowed:\n  is open to everybody"):
        guarded(lambda: SAYING[type_](text(OPEN_TO_ALL)))


def test_a_stack_that_is_not_protected_may_lose_its_data() -> None:
    guarded(lambda: server(pulumi.ResourceOptions()), protect=False)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Action": "*", "Resource": "arn:x"}, "allows every action"),
        ({"Action": ["s3:GetObject", "ec2:*"], "Resource": "arn:x"}, r"every action like ec2:\*"),
        ({"Action": "iam:Put*", "Resource": "arn:x"}, r"every action like iam:Put\*"),
        ({"Action": "s3:GetObject", "Resource": ["arn:x", "arn:aws:s3:::*"]}, "on every resource"),
        ({"NotAction": "iam:PassRole", "Resource": "arn:x"}, "all but what NotAction has"),
        ({"Action": "s3:GetObject", "NotResource": "arn:x"}, "all but what NotResource has"),
        ({"Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "1"}}, "all but what NotPrincipal has"),
        ({"Action": "ec2:AssociateAddress", "Resource": "*"}, "on every resource"),
        ({"Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}, "open to everybody"),
    ],
)
def test_a_policy_names_what_it_allows(statement: dict[str, Any], message: str) -> None:
    (found,) = policy_violations(json.dumps({"Statement": [{"Effect": "Allow", **statement}]}))
    assert re.search(message, found)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Action": "*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "ec2:DescribeInstances",
            "Resource": "*",
            "Condition": {"X": {"y": "z"}},
        },
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}},
    ],
)
def test_a_policy_that_is_bounded_passes(statement: dict[str, Any]) -> None:
    assert list(policy_violations(json.dumps({"Statement": statement}))) == []


def test_the_error_names_every_violation_of_a_resource() -> None:
    with pytest.raises(InfraError) as caught:
        guarded(lambda: instance(tags=None, metadata_options=None))
    assert "lacks the tag" in str(caught.value)
    assert "without a token" in str(caught.value)
    assert isinstance(caught.value, GuardRailError)
