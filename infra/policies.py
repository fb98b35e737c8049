"""What each kind of machine may do on AWS: the IAM policy of its role, and nothing that it does not need.

Where AWS knows no narrower resource for an action (`*`), a condition narrows it to the stack's regions or
metrics. Machines are told by the tags that the stack puts on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.flows import Role, places, scraped_regions
from infra.group_names import GROUPED, group_name
from infra.load_names import BOOKS, JOBS, RESULTS, bucket_name
from infra.log_names import log_group_name
from infra.metric_names import NAMESPACE
from infra.secret_names import reads, steward, writes
from infra.site import Site

INLINE_POLICY_LIMIT: Final = 10_240
"""The characters without white space that IAM allows in the inline policies of a role."""

TRUST: Final[Mapping[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ],
}
"""Who may take on a machine's role: a machine."""


@dataclass(frozen=True)
class Grants:
    """What only AWS knows and the policies name.

    Args:
        account: the number of the account.
        zone_id: the hosted zone of the domain.
        secret_arns: the secrets in the home region, by key; a copy's ARN differs in the region only.
    """

    account: str
    zone_id: str
    secret_arns: Mapping[str, str]


def policy(site: Site, role: Role, grants: Grants) -> dict[str, Any]:
    """The policy document of the machines of a role."""
    return {"Version": "2012-10-17", "Statement": list(_statements(site, role, grants))}


def challenge_name(site: Site) -> str:
    """The record by which the certificate authority sees that the play name is ours.

    The certificate is for the play name and the names one level below it, which share this record.
    """
    return f"_acme-challenge.{site.play_name}"


def _statements(site: Site, role: Role, grants: Grants) -> Iterator[dict[str, Any]]:
    regions = [place.region for place in places(site.architecture) if place.role == role]
    yield from _reporting(site, role, grants, regions)
    yield from _session_manager(grants, regions)
    yield from _secrets(site, role, grants, regions)
    if role in GROUPED:
        yield _own_group(site, role, grants, regions)
    if role == "node":
        yield from _addresses(site, grants, regions)
    if role == steward(site.architecture) and site.architecture.certificate == "acme":
        yield from _challenge(site, grants)
    if role == steward(site.architecture):
        yield _finding(scraped_regions(site.architecture))
    if site.architecture.load:
        yield from _load_results(site, role, grants)
    if role == "monitoring":
        yield _finding((site.home,))


def _reporting(site: Site, role: Role, grants: Grants, regions: Sequence[str]) -> Iterator[dict[str, Any]]:
    yield _allow(
        "Metrics",
        ["cloudwatch:PutMetricData"],
        ["*"],
        {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
    )
    group = log_group_name(site, role)
    yield _allow(
        "Logs",
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        [f"arn:aws:logs:{region}:{grants.account}:log-group:{group}:*" for region in regions],
    )


def _session_manager(grants: Grants, regions: Sequence[str]) -> Iterator[dict[str, Any]]:
    yield _allow("SessionManager", ["ssm:UpdateInstanceInformation"], _machines(grants, regions))
    yield _allow(
        "SessionManagerChannels",
        [
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        ["*"],
        _in_regions(regions),
    )


def _secrets(site: Site, role: Role, grants: Grants, regions: Sequence[str]) -> Iterator[dict[str, Any]]:
    if keys := reads(site.architecture, role):
        copies = [_copy(grants.secret_arns[key], region) for key in keys for region in regions]
        yield _allow("ReadSecrets", ["secretsmanager:GetSecretValue"], copies)
    if keys := writes(site.architecture, role):
        written = [_copy(grants.secret_arns[key], site.home) for key in keys]
        yield _allow("WriteSecrets", ["secretsmanager:PutSecretValue"], written)


def _copy(arn: str, region: str) -> str:
    """The ARN of a secret's copy in a region."""
    parts = arn.split(":")
    return ":".join([*parts[:3], region, *parts[4:]])


def _own_group(site: Site, role: Role, grants: Grants, regions: Sequence[str]) -> dict[str, Any]:
    return _allow(
        "OwnGroup",
        ["autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"],
        [
            f"arn:aws:autoscaling:{region}:{grants.account}:autoScalingGroup:*"
            f":autoScalingGroupName/{group_name(site, role, region)}"
            for region in regions
        ],
    )


def _addresses(site: Site, grants: Grants, regions: Sequence[str]) -> Iterator[dict[str, Any]]:
    stack = {"StringEquals": {"ec2:ResourceTag/isochrone:stack": site.architecture.name}}
    yield _allow("FindAddress", ["ec2:DescribeAddresses"], ["*"], _in_regions(regions))
    yield _allow(
        "TakeAddress",
        ["ec2:AssociateAddress"],
        [
            arn
            for region in regions
            for arn in (
                f"arn:aws:ec2:{region}:{grants.account}:elastic-ip/*",
                f"arn:aws:ec2:{region}:{grants.account}:instance/*",
                f"arn:aws:ec2:{region}:{grants.account}:network-interface/*",
            )
        ],
        stack,
    )


def _challenge(site: Site, grants: Grants) -> Iterator[dict[str, Any]]:
    yield _allow(
        "AnswerChallenge",
        ["route53:ChangeResourceRecordSets"],
        [f"arn:aws:route53:::hostedzone/{grants.zone_id}"],
        {
            "ForAllValues:StringEquals": {
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": [challenge_name(site)],
                "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
                "route53:ChangeResourceRecordSetsActions": ["UPSERT", "DELETE"],
            }
        },
    )
    yield _allow("AwaitChallenge", ["route53:GetChange"], ["arn:aws:route53:::change/*"])


def _finding(regions: Sequence[str]) -> dict[str, Any]:
    return _allow("FindMachines", ["ec2:DescribeInstances"], ["*"], _in_regions(regions))


def _load_results(site: Site, role: Role, grants: Grants) -> Iterator[dict[str, Any]]:
    """A load machine fetches its job and leaves its result; the steward leaves what the books say."""
    bucket = f"arn:aws:s3:::{bucket_name(site, grants.account)}"
    if role == "load":
        yield _allow("FetchJob", ["s3:GetObject"], [f"{bucket}/{JOBS}*"])
        yield _allow("LeaveResult", ["s3:PutObject"], [f"{bucket}/{RESULTS}*"])
    if role == steward(site.architecture):
        yield _allow("LeaveBooks", ["s3:PutObject"], [f"{bucket}/{BOOKS}*"])


def _machines(grants: Grants, regions: Sequence[str]) -> list[str]:
    return [f"arn:aws:ec2:{region}:{grants.account}:instance/*" for region in regions]


def _in_regions(regions: Sequence[str]) -> dict[str, Any]:
    return {"StringEquals": {"aws:RequestedRegion": list(regions)}}


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": dict(condition)} if condition else statement
