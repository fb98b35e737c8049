"""A declared stack as AWS describes it: its machines, and where they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from infra.flows import Place, Role
from infra.regions import REGIONS
from infra.site import Site
from tests.infra.cloud import reachability
from tests.infra.cloud.declared import Declared
from tests.infra.cloud.reachability import Networks, Spot

SOMEWHERE: Final = 100
"""The number in its subnet of a machine that has no fixed address."""


@dataclass(frozen=True)
class View:
    """What an account holds of a stack; everything is read from AWS, nothing from the program.

    Args:
        site: the stack's architecture, names and addresses.
        declared: what the program declared, with the account.
    """

    site: Site
    declared: Declared

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, at home when no region is named."""
        return self.declared.client(service, region or self.site.home)

    def own(self, **more: str) -> list[dict[str, Any]]:
        """A filter for what has the stack's tag, and others of the project's."""
        tags = {"stack": self.site.architecture.name, **more}
        return [{"Name": f"tag:isochrone:{key}", "Values": [value]} for key, value in tags.items()]

    @cached_property
    def networks(self) -> Networks:
        """The networks of all regions, as far as connections go."""
        return reachability.read(self.declared.account, REGIONS)

    def vpcs(self, region: str) -> list[Mapping[str, Any]]:
        """The stack's networks in a region."""
        found: list[Mapping[str, Any]] = self.client("ec2", region).describe_vpcs(Filters=self.own())["Vpcs"]
        return found

    def subnets(self, region: str) -> list[Mapping[str, Any]]:
        """The stack's subnets in a region."""
        found: list[Mapping[str, Any]] = self.client("ec2", region).describe_subnets(Filters=self.own())[
            "Subnets"
        ]
        return found

    def groups(self, region: str, role: Role) -> list[Mapping[str, Any]]:
        """The auto scaling groups of a role's machines in a region."""
        found = self.client("autoscaling", region).describe_auto_scaling_groups(Filters=self.own(role=role))
        groups: list[Mapping[str, Any]] = found["AutoScalingGroups"]
        return groups

    def template(self, region: str, group: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the machines of an auto scaling group are launched from."""
        named = group["LaunchTemplate"]
        (version,) = self.client("ec2", region).describe_launch_template_versions(
            LaunchTemplateId=named["LaunchTemplateId"], Versions=[named["Version"]]
        )["LaunchTemplateVersions"]
        data: Mapping[str, Any] = version["LaunchTemplateData"]
        return data

    def instances(self, role: Role) -> list[Mapping[str, Any]]:
        """The machines of their own of a role, all at home, by address."""
        found = self.client("ec2").describe_instances(Filters=self.own(role=role))["Reservations"]
        machines = [
            machine
            for reservation in found
            for machine in reservation["Instances"]
            if "PrivateIpAddress" in machine
        ]
        return sorted(machines, key=lambda machine: IPv4Address(machine["PrivateIpAddress"]))

    def server(self, region: str) -> Mapping[str, Any]:
        """The SQL server in a region."""
        (found,) = self.client("rds", region).describe_db_instances()["DBInstances"]
        server: Mapping[str, Any] = found
        return server

    @cached_property
    def user_data(self) -> Mapping[str, str]:
        """What every kind of machine is told at boot, by the name of its group or its address."""
        found = {}
        for region in self.site.regions:
            for role in ("node", "core", "load"):
                for group in self.groups(region, role):
                    data = base64.b64decode(self.template(region, group)["UserData"]).decode()
                    found[f"{group['AutoScalingGroupName']} {region}"] = data
        for role in ("redis", "monitoring"):
            for machine in self.instances(role):  # type: ignore[arg-type]
                answer = self.client("ec2").describe_instance_attribute(
                    InstanceId=machine["InstanceId"], Attribute="userData"
                )
                found[machine["PrivateIpAddress"]] = base64.b64decode(answer["UserData"]["Value"]).decode()
        return found

    def told(self, place: Place) -> list[Mapping[str, Any]]:
        """The documents that the machines of a place get at boot."""
        documents = [json.loads(text) for text in self.user_data.values()]
        return [each for each in documents if (each["role"], each["region"]) == (place.role, place.region)]

    def spots(self, place: Place) -> list[Spot]:
        """Everywhere that a machine of a place is or may be."""
        return list(self._spots(place))

    def _spots(self, place: Place) -> Iterator[Spot]:
        match place.role:
            case "node" | "core" | "load":
                (group,) = self.groups(place.region, place.role)
                (interface,) = self.template(place.region, group)["NetworkInterfaces"]
                for subnet in group["VPCZoneIdentifier"].split(","):
                    yield self._spot(place.region, subnet, interface["Groups"])
            case "redis" | "monitoring":
                for machine in self.instances(place.role):
                    groups = [group["GroupId"] for group in machine["SecurityGroups"]]
                    yield self._spot(place.region, machine["SubnetId"], groups, machine["PrivateIpAddress"])
            case "sql":
                server = self.server(place.region)
                groups = [group["VpcSecurityGroupId"] for group in server["VpcSecurityGroups"]]
                for subnet in server["DBSubnetGroup"]["Subnets"]:
                    yield self._spot(place.region, subnet["SubnetIdentifier"], groups)

    def _spot(self, region: str, subnet: str, groups: list[str], address: str | None = None) -> Spot:
        (found,) = self.client("ec2", region).describe_subnets(SubnetIds=[subnet])["Subnets"]
        network = IPv4Network(found["CidrBlock"])
        chosen = IPv4Address(address) if address else network[SOMEWHERE]
        return Spot(region, found["VpcId"], subnet, chosen, tuple(groups))
