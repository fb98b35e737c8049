"""What the real engine is asked to do, as data: stacks, their configuration, commands, what may be left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from infra.regions import REGIONS

STACKS: Final = ("image", "baseline", "geo-i", "geo-ii")

PROTECTED: Final = ("baseline", "geo-i")
"""The stacks whose data are protected for a while. The image has none; what geo-ii has besides, its replicas,
takes the provider three minutes each way.
"""

NOT_INSTALLED: Final = 77
"""The exit status that says that nothing was tried: that of a skipped test in the GNU tools."""

COPIED: Final = ("Pulumi.yaml", "__main__.py", "infra")
"""What the engine needs of the project; the stack files are written anew."""

SNAPSHOT: Final = "snap-0123456789abcdef0"

SERVICES: Final = (
    "autoscaling",
    "cloudwatch",
    "ec2",
    "iam",
    "kms",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "servicequotas",
    "sns",
    "ssm",
    "sts",
)
"""The provider's names of the services that the program uses, each of which gets the server's address."""

PROVIDER: Final[Mapping[str, object]] = {
    "aws:accessKey": "test",
    "aws:secretKey": "test",
    "aws:skipCredentialsValidation": True,
    "aws:skipMetadataApiCheck": True,
    "aws:skipRequestingAccountId": False,
    "aws:s3UsePathStyle": True,
}

SERVER: Final[Mapping[str, str]] = {
    "MOTO_ENABLE_AMI_VALIDATION": "1",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "1",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "1",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "1",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}
"""The environment in which the server checks most of what AWS would, and has no image of its own."""


def stack_file(stack: str, text: str, endpoint: str) -> str:
    """A stack's file with the provider pointed at a server, by configuration alone, and nothing protected."""
    config = dict(yaml.safe_load(text)["config"])
    config |= PROVIDER
    config.setdefault("aws:region", "eu-west-1")
    config["aws:endpoints"] = [dict.fromkeys(SERVICES, endpoint)]
    if stack == "image":
        config |= {"isochrone:snapshot": SNAPSHOT, "isochrone:tested": SNAPSHOT}
    else:
        config["isochrone:protect"] = False
    return yaml.safe_dump({"config": config}, sort_keys=False)


def image_tag(text: str) -> str:
    """The tag of the machine image that a stack's file asks for."""
    return str(yaml.safe_load(text)["config"].get("isochrone:image", "current"))


def environment(before: Mapping[str, str], state: Path) -> dict[str, str]:
    """The engine's environment: its state in a folder, no secrets to ask for, no account to find."""
    kept = {key: value for key, value in before.items() if not key.startswith(("AWS_", "PULUMI_CONFIG"))}
    return kept | {
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass(frozen=True)
class Step:
    """A command for the engine, and what it shows when it succeeds."""

    shows: str
    arguments: tuple[str, ...]


def steps(stack: str) -> tuple[Step, ...]:
    """The commands for a stack, in order; each has to succeed."""
    at = ("--non-interactive", "--stack", stack)
    yes = ("--yes", *at)
    protection = ("true", "false") if stack in PROTECTED else ()
    return (
        Step("there is a stack", ("stack", "init", stack, "--non-interactive")),
        Step("it can be made", ("up", *yes)),
        Step("a second time nothing changes", ("up", "--expect-no-changes", *yes)),
        *(
            step
            for protect in protection
            for step in (
                Step(
                    f"its file says protect: {protect}",
                    ("config", "set", "isochrone:protect", protect, *at),
                ),
                Step(f"it can be protect: {protect}", ("up", *yes)),
            )
        ),
        Step("what is there can be read back", ("refresh", *yes)),
        Step("it can be taken down", ("destroy", *yes)),
    )


def missing(pulumi: str | None, plugins: str, version: str, on_path: str | None = None) -> str | None:
    """Why the engine cannot be tried here; None when it can.

    Args:
        pulumi: where the engine's program is; None when it is not there.
        plugins: what `pulumi plugin ls --json` said.
        version: the version of the AWS provider that the program asks for.
        on_path: where a provider plugin is on the path, which the engine takes before any other.
    """
    if pulumi is None:
        return "the program `pulumi` is not installed: https://www.pulumi.com/docs/install/"
    found = [each["version"] for each in json.loads(plugins or "[]") if each["name"] == "aws"]
    if version in found or on_path:
        return None
    there = f"there is {', '.join(found)}" if found else "there is none"
    return (
        f"the AWS provider plugin {version} is not installed ({there}): "
        f"pulumi plugin install resource aws {version}"
    )


@dataclass(frozen=True)
class Inventory:
    """A call that lists what a service has of a kind: the key of its list, the key of each one's name."""

    service: str
    operation: str
    items: str
    name: str
    counts: Callable[[Mapping[str, Any]], bool] = lambda _: True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    everywhere: bool = True

    def regions(self) -> Sequence[str]:
        """The regions in which it has to be asked."""
        return tuple(REGIONS) if self.everywhere else ("us-east-1",)

    def names(self, answer: Mapping[str, Any]) -> Iterator[str]:
        """The names of those things that count as left."""
        for item in answer[self.items]:
            if isinstance(item, str):
                yield item
            elif self.counts(item):
                yield str(item[self.name])


def _lives(*path: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether the state at that path of keys is not that of something which is gone or going."""

    def counts(item: Mapping[str, Any]) -> bool:
        state: Any = item
        for key in path:
            state = state[key]
        return state not in ("deleted", "terminated", "deregistered", "PendingDeletion")

    return counts


def _is_own(item: Mapping[str, Any]) -> bool:
    """Whether an alias is not one that AWS makes for itself when it is first asked for."""
    return not str(item["AliasName"]).startswith("alias/aws/")


INVENTORIES: Final = (
    Inventory("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    Inventory("autoscaling", "describe_policies", "ScalingPolicies", "PolicyName"),
    Inventory("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    Inventory("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    Inventory("ec2", "describe_addresses", "Addresses", "AllocationId"),
    Inventory("ec2", "describe_images", "Images", "ImageId", arguments={"Owners": ["self"]}),
    Inventory("ec2", "describe_instance_status", "InstanceStatuses", "InstanceId"),
    Inventory("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    Inventory("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    Inventory("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    Inventory("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    Inventory("ec2", "describe_subnets", "Subnets", "SubnetId"),
    Inventory("ec2", "describe_volumes", "Volumes", "VolumeId"),
    Inventory("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", _lives("State")),
    Inventory(
        "ec2",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        _lives("Status", "Code"),
    ),
    Inventory("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    Inventory("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName", everywhere=False),
    Inventory("iam", "list_policies", "Policies", "Arn", arguments={"Scope": "Local"}, everywhere=False),
    Inventory("iam", "list_roles", "Roles", "RoleName", everywhere=False),
    Inventory("kms", "list_aliases", "Aliases", "AliasName", _is_own),
    Inventory("logs", "describe_log_groups", "logGroups", "logGroupName"),
    Inventory("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    Inventory("rds", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    Inventory("rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    Inventory("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    Inventory("route53", "list_health_checks", "HealthChecks", "Id", everywhere=False),
    Inventory("route53", "list_hosted_zones", "HostedZones", "Id", everywhere=False),
    Inventory("s3", "list_buckets", "Buckets", "Name", everywhere=False),
    Inventory("secretsmanager", "list_secrets", "SecretList", "ARN"),
    Inventory("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    Inventory("sns", "list_topics", "Topics", "TopicArn"),
    Inventory("ssm", "describe_parameters", "Parameters", "Name"),
)
"""What is listed before and after: the two lists have to be equal. A key waits for its deletion for days."""
