"""Networks that AWS refuses, and moto takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from ipaddress import IPv4Network
from typing import Any

from tests.infra.cloud.account import client_of
from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place


def foreign_zone(place: Place, zone: str) -> None:
    """A subnet is in a zone of its own region."""
    zones = place.client("ec2").describe_availability_zones()["AvailabilityZones"]
    if zone not in {found["ZoneName"] for found in zones}:
        raise RefusedError(f"{zone} is no zone of {place.region}")


def loose_range(network: str) -> None:
    """A range of addresses begins at its first one."""
    try:
        IPv4Network(network)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def route_taken(place: Place, table: str, destination: str) -> None:
    """A route table has one route to a destination."""
    (found,) = place.client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]
    if destination in {route.get("DestinationCidrBlock") for route in found["Routes"]}:
        raise RefusedError(f"{table} has a route to {destination} already")


def foreign_route_table(place: Place, subnet: str, table: str) -> None:
    """A subnet's route table is of the same network, and is its only one."""
    ec2 = place.client("ec2")
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    (one,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    if found["VpcId"] != one["VpcId"]:
        raise RefusedError(f"{subnet} and {table} are in different networks")
    others = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
    if others["RouteTables"]:
        raise RefusedError(f"{subnet} has a route table already")


def endpoint_of_no_service(place: Place, service: str) -> None:
    """An endpoint leads to a service of its own region."""
    if not service.startswith(f"com.amazonaws.{place.region}."):
        raise RefusedError(f"{service} is no service of {place.region}")
    if service not in _services(place.region):
        raise RefusedError(f"{service} is not offered in {place.region}")


@cache
def _services(region: str) -> frozenset[str]:
    return frozenset(client_of("ec2", region).describe_vpc_endpoint_services()["ServiceNames"])


def endpoint_in_wrong_form(place: Place, params: Mapping[str, Any]) -> None:
    """A gateway has route tables; an interface has groups and subnets, one per zone, and private names need
    the network's DNS.
    """
    ec2 = place.client("ec2")
    if params.get("VpcEndpointType", "Gateway") == "Gateway":
        if wrong := {"SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled"} & set(params):
            raise RefusedError(f"a gateway endpoint takes no {', '.join(sorted(wrong))}")
        return
    if "RouteTableIds" in params:
        raise RefusedError("an interface endpoint takes no route tables")
    found = ec2.describe_subnets(SubnetIds=params["SubnetIds"])["Subnets"]
    zones = [subnet["AvailabilityZone"] for subnet in found]
    if len(set(zones)) < len(zones):
        raise RefusedError("an interface endpoint takes one subnet per zone")
    if {subnet["VpcId"] for subnet in found} != {params["VpcId"]}:
        raise RefusedError("the endpoint's subnets are of another network")
    if not params.get("PrivateDnsEnabled"):
        return
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=params["VpcId"], Attribute=attribute)
        if not answer[attribute[0].upper() + attribute[1:]]["Value"]:
            raise RefusedError(f"private names of an endpoint need {attribute}")
    same = ec2.describe_vpc_endpoints(
        Filters=[
            {"Name": "vpc-id", "Values": [params["VpcId"]]},
            {"Name": "service-name", "Values": [params["ServiceName"]]},
        ]
    )["VpcEndpoints"]
    if same:
        raise RefusedError(
            f"the network has an endpoint with private names of {params['ServiceName']} already"
        )


def accepted_from_afar(place: Place, peer_region: str) -> None:
    """A peering with another region is accepted there, not by whoever asks for it."""
    if peer_region != place.region:
        raise RefusedError("a peering with another region cannot be accepted with the request (autoAccept)")


def acceptance_elsewhere(place: Place, connection: str) -> None:
    """A peering is accepted in the region of the accepter."""
    (found,) = place.client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection])[
        "VpcPeeringConnections"
    ]
    region = found["AccepterVpcInfo"]["Region"]
    if region != place.region:
        raise RefusedError(f"{connection} is accepted in {region}, not in {place.region}")


def overlapping_peers(place: Place, vpc: str, peer_region: str, peer_vpc: str) -> None:
    """Two networks that are peered have no address in common, and one peering."""
    own, other = _network(place, place.region, vpc), _network(place, peer_region, peer_vpc)
    if own.overlaps(other):
        raise RefusedError(f"{own} ({place.region}) and {other} ({peer_region}) overlap")
    for found in place.client("ec2").describe_vpc_peering_connections()["VpcPeeringConnections"]:
        ends = {found["RequesterVpcInfo"]["VpcId"], found["AccepterVpcInfo"]["VpcId"]}
        if ends == {vpc, peer_vpc}:
            raise RefusedError(f"{vpc} and {peer_vpc} are peered already")


def _network(place: Place, region: str, vpc: str) -> IPv4Network:
    (found,) = place.client("ec2", region).describe_vpcs(VpcIds=[vpc])["Vpcs"]
    return IPv4Network(found["CidrBlock"])


def inactive_peering(place: Place, connection: str) -> None:
    """A route leads over a peering that was accepted."""
    (found,) = place.client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=[connection])[
        "VpcPeeringConnections"
    ]
    if found["Status"]["Code"] != "active":
        raise RefusedError(f"{connection} is {found['Status']['Code']}, not active")


def too_many_addresses(place: Place) -> None:
    """A region has no more Elastic IPs than the account's quota."""
    quota = place.account.quotas["EC2-VPC Elastic IPs"]
    if len(place.client("ec2").describe_addresses()["Addresses"]) >= quota:
        raise RefusedError(f"{place.region} has {quota:g} Elastic IPs, as many as the account may have there")


def group_misnamed(name: str, description: str) -> None:
    """A security group's name and description are of the characters that AWS takes."""
    check_text("the group's name", name, r"(?!sg-)[\w .\-:/()#,@\[\]+=&;{}!$*]{1,255}")
    rule_misdescribed(description)


def rule_misdescribed(description: str) -> None:
    """A description is of the characters that AWS takes; an apostrophe is not among them."""
    check_text("the description", description, r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")


def rule_without_one_peer(peers: Sequence[str]) -> None:
    """A rule names one peer: a group or a range."""
    if len(peers) != 1:
        raise RefusedError(f"a rule names one peer, not {', '.join(peers) or 'none'}")


def foreign_group(place: Place, group: str, peer: str) -> None:
    """A group that a rule names is of the same network."""
    found = place.client("ec2").describe_security_groups(GroupIds=sorted({group, peer}))["SecurityGroups"]
    if len({one["VpcId"] for one in found}) > 1:
        raise RefusedError(f"{group} and {peer} are in different networks")
