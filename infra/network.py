"""A region's network: its subnets in several zones, routes, endpoints and security groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.addresses import Tier
from infra.flows import HTTPS_PORT, TIER_OF, Role, places
from infra.rules import Rule
from infra.site import Site
from infra.zones import zones

PRIVATE_SERVICES: Final = ("ec2", "ec2messages", "logs", "monitoring", "secretsmanager", "ssm", "ssmmessages")
"""The services that a machine without a public address calls, each through an interface endpoint.

`ec2messages` and `ssmmessages` carry Session Manager; `ec2` is where Prometheus looks up what to scrape.
"""


@dataclass(frozen=True)
class RegionNetworkArgs:
    """What a region's network is made of.

    Args:
        site: the stack's architecture, names and addresses.
        region: the region.
        rules: the rules of the whole architecture; those of this region are declared here.
    """

    site: Site
    region: str
    rules: tuple[Rule, ...]


class RegionNetwork(pulumi.ComponentResource):
    """A VPC with a public and an isolated subnet in each zone, and a security group for each role in it."""

    region: str
    vpc_id: pulumi.Output[str]
    zones: list[pulumi.Output[str]]
    public_subnets: list[pulumi.Output[str]]
    isolated_subnets: list[pulumi.Output[str]]
    route_tables: Mapping[Tier, pulumi.Output[str]]
    security_groups: Mapping[Role, pulumi.Output[str]]

    def __init__(
        self, name: str, args: RegionNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("isochrone:infra:RegionNetwork", name, None, opts)
        self._name = name
        self._site = args.site
        self._child = pulumi.ResourceOptions(parent=self)
        self.region = args.region
        self._addresses = args.site.addresses[args.region]
        roles = tuple(p.role for p in places(args.site.architecture) if p.region == args.region)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            region=self.region,
            cidr_block=str(self._addresses.network),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        self.zones = zones(args.site, self.region)
        self.route_tables = {tier: self._route_table(tier) for tier in ("public", "isolated")}
        self.public_subnets = self._subnets("public")
        self.isolated_subnets = self._subnets("isolated")
        self._internet()
        self.security_groups = {role: self._security_group(role) for role in roles}
        for rule in args.rules:
            if rule.place.region == self.region:
                self._rule(rule)
        self._s3()
        if any(TIER_OF[role] == "isolated" and role != "sql" for role in roles):
            self._private_services()
        self.register_outputs({"vpc_id": self.vpc_id})

    def _tags(self, *parts: str) -> dict[str, str]:
        return self._site.tags("-".join((self.region, *parts)))

    def _route_table(self, tier: Tier) -> pulumi.Output[str]:
        return aws.ec2.RouteTable(
            f"{self._name}-{tier}",
            region=self.region,
            vpc_id=self.vpc_id,
            tags=self._tags(tier),
            opts=self._child,
        ).id

    def _subnets(self, tier: Tier) -> list[pulumi.Output[str]]:
        made = []
        ranges = self._addresses.public if tier == "public" else self._addresses.isolated
        for index, (subnet_range, zone) in enumerate(zip(ranges, self.zones, strict=True)):
            subnet = aws.ec2.Subnet(
                f"{self._name}-{tier}-{index}",
                region=self.region,
                vpc_id=self.vpc_id,
                cidr_block=str(subnet_range),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=self._tags(tier, str(index)),
                # A zone that AWS adds or renames must not move what stands in these subnets.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"]),
            )
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{tier}-{index}",
                region=self.region,
                subnet_id=subnet.id,
                route_table_id=self.route_tables[tier],
                opts=self._child,
            )
            made.append(subnet.id)
        return made

    def _internet(self) -> None:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet",
            region=self.region,
            vpc_id=self.vpc_id,
            tags=self._tags("internet"),
            opts=self._child,
        )
        aws.ec2.Route(
            f"{self._name}-internet",
            region=self.region,
            route_table_id=self.route_tables["public"],
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )

    def _security_group(self, key: str) -> pulumi.Output[str]:
        return aws.ec2.SecurityGroup(
            f"{self._name}-{key}",
            region=self.region,
            name=self._site.name(key, self.region),
            description=f"The {key} machines" if key != "endpoints" else "The interface endpoints",
            vpc_id=self.vpc_id,
            tags=self._tags(key),
            opts=self._child,
        ).id

    def _rule(self, rule: Rule) -> None:
        group = self.security_groups[rule.place.role]
        peer = self.security_groups[rule.peer] if isinstance(rule.peer, str) else None
        network = None if isinstance(rule.peer, str) else str(rule.peer)
        make = (
            aws.vpc.SecurityGroupIngressRule
            if rule.direction == "ingress"
            else aws.vpc.SecurityGroupEgressRule
        )
        make(
            f"{self._name}-{rule.key}",
            region=self.region,
            security_group_id=group,
            ip_protocol="tcp",
            from_port=rule.port,
            to_port=rule.port,
            referenced_security_group_id=peer,
            cidr_ipv4=network,
            tags={**self._tags(rule.key), "isochrone:purpose": rule.purpose},
            opts=self._child,
        )

    def _s3(self) -> None:
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            region=self.region,
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{self.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[self.route_tables["public"], self.route_tables["isolated"]],
            tags=self._tags("s3"),
            opts=self._child,
        )

    def _private_services(self) -> None:
        group = self._security_group("endpoints")
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints-ingress",
            region=self.region,
            security_group_id=group,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            cidr_ipv4=str(self._addresses.network),
            tags={**self._tags("endpoints"), "isochrone:purpose": "machines of this network"},
            opts=self._child,
        )
        for service in PRIVATE_SERVICES:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                region=self.region,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.isolated_subnets,
                security_group_ids=[group],
                tags=self._tags(service),
                opts=self._child,
            )
