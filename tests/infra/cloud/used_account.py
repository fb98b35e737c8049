"""An account that is in use already, against which the refusals are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.infra.cloud.account import Account, add_image, open_account
from tests.infra.cloud.registry import Place

HOME, AWAY = "eu-west-1", "us-east-1"


@dataclass(frozen=True)
class World:
    """An account with a network at home and one away, a machine, a group, a topic, a zone and a server."""

    account: Account
    home: Place
    away: Place
    vpc: str
    other_vpc: str
    away_vpc: str
    subnets: tuple[str, str]
    other_subnet: str
    table: str
    group: str
    other_group: str
    image: str
    template: str
    machine: str
    zone: str


@contextmanager
def open_world() -> Iterator[World]:
    """Opens the account, which is gone at the end."""
    with open_account() as account:
        ec2, away = account.client("ec2", HOME), account.client("ec2", AWAY)

        def vpc(client: Any, network: str) -> str:
            made: str = client.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
            return made

        def subnet(vpc_id: str, network: str, zone: str) -> str:
            made: str = ec2.create_subnet(VpcId=vpc_id, CidrBlock=network, AvailabilityZone=f"{HOME}{zone}")[
                "Subnet"
            ]["SubnetId"]
            return made

        def group(vpc_id: str) -> str:
            made: str = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc_id)[
                "GroupId"
            ]
            return made

        one, other, distant = vpc(ec2, "10.1.0.0/16"), vpc(ec2, "10.2.0.0/16"), vpc(away, "10.3.0.0/16")
        subnets = subnet(one, "10.1.0.0/20", "a"), subnet(one, "10.1.16.0/20", "b")
        own, foreign = group(one), group(other)
        image = add_image(account, HOME)
        template = ec2.create_launch_template(
            LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": image, "InstanceType": "m3.medium"}
        )["LaunchTemplate"]["LaunchTemplateId"]
        machine = ec2.run_instances(
            ImageId=image,
            InstanceType="m3.medium",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnets[0],
            PrivateIpAddress="10.1.0.10",
            SecurityGroupIds=[own],
        )["Instances"][0]["InstanceId"]
        account.client("autoscaling", HOME).create_auto_scaling_group(
            AutoScalingGroupName="nodes",
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
            VPCZoneIdentifier=subnets[0],
        )
        zone = account.client("route53").create_hosted_zone(Name="market.example", CallerReference="1")
        yield World(
            account,
            Place(account, HOME),
            Place(account, AWAY),
            one,
            other,
            distant,
            subnets,
            subnet(other, "10.2.0.0/20", "a"),
            ec2.create_route_table(VpcId=one)["RouteTable"]["RouteTableId"],
            own,
            foreign,
            image,
            template,
            machine,
            zone["HostedZone"]["Id"].removeprefix("/hostedzone/"),
        )
