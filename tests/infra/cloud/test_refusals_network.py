"""What AWS refuses of networks because of what is there already, or is not, and moto takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import network
from tests.infra.cloud.used_account import AWAY, HOME, World


def test_a_subnet_in_another_regions_zone(world: World) -> None:
    with pytest.raises(RefusedError, match="us-east-1a is no zone of eu-west-1"):
        network.foreign_zone(world.home, "us-east-1a")


def test_a_second_route_to_a_destination(world: World) -> None:
    with pytest.raises(RefusedError, match=r"has a route to 10.1.0.0/16 already"):
        network.route_taken(world.home, world.table, "10.1.0.0/16")


def test_a_route_table_of_another_network(world: World) -> None:
    with pytest.raises(RefusedError, match="different networks"):
        network.foreign_route_table(world.home, world.other_subnet, world.table)


def test_a_second_route_table_of_a_subnet(world: World) -> None:
    client = world.home.client("ec2")
    network.foreign_route_table(world.home, world.subnets[0], world.table)
    client.associate_route_table(SubnetId=world.subnets[0], RouteTableId=world.table)
    with pytest.raises(RefusedError, match="has a route table already"):
        network.foreign_route_table(world.home, world.subnets[0], world.table)


@pytest.mark.parametrize("service", ["com.amazonaws.us-east-1.s3", "com.amazonaws.eu-west-1.montoring"])
def test_an_endpoint_of_a_service_that_is_not_there(world: World, service: str) -> None:
    with pytest.raises(RefusedError, match=service):
        network.endpoint_of_no_service(world.home, service)


def interface(world: World, **other: Any) -> dict[str, Any]:
    return {
        "VpcId": world.vpc,
        "ServiceName": "com.amazonaws.eu-west-1.ssm",
        "VpcEndpointType": "Interface",
        "SubnetIds": list(world.subnets),
        **other,
    }


def test_an_endpoint_in_the_wrong_form(world: World) -> None:
    for bad, message in (
        ({"VpcEndpointType": "Gateway"}, "gateway endpoint takes no SubnetIds"),
        ({"RouteTableIds": [world.table]}, "takes no route tables"),
        ({"SubnetIds": [world.other_subnet]}, "of another network"),
        ({"PrivateDnsEnabled": True}, "need enableDnsHostnames"),
    ):
        with pytest.raises(RefusedError, match=message):
            network.endpoint_in_wrong_form(world.home, interface(world, **bad))


def test_an_interface_endpoint_twice_in_a_zone(world: World) -> None:
    again = world.home.client("ec2").create_subnet(
        VpcId=world.vpc, CidrBlock="10.1.32.0/20", AvailabilityZone=f"{HOME}a"
    )["Subnet"]["SubnetId"]
    with pytest.raises(RefusedError, match="one subnet per zone"):
        network.endpoint_in_wrong_form(world.home, interface(world, SubnetIds=[world.subnets[0], again]))


def test_a_peering_accepted_from_afar(world: World) -> None:
    with pytest.raises(RefusedError, match="autoAccept"):
        network.accepted_from_afar(world.home, AWAY)


def test_peers_whose_networks_overlap(world: World) -> None:
    same = world.away.client("ec2").create_vpc(CidrBlock="10.1.128.0/20")["Vpc"]["VpcId"]
    with pytest.raises(RefusedError, match="overlap"):
        network.overlapping_peers(world.home, world.vpc, AWAY, same)


def test_a_peering_that_nobody_accepted(world: World) -> None:
    connection = world.home.client("ec2").create_vpc_peering_connection(
        VpcId=world.vpc, PeerVpcId=world.away_vpc, PeerRegion=AWAY
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    with pytest.raises(RefusedError, match="not active"):
        network.inactive_peering(world.home, connection)
    with pytest.raises(RefusedError, match=f"is accepted in {AWAY}"):
        network.acceptance_elsewhere(world.home, connection)
    with pytest.raises(RefusedError, match="are peered already"):
        network.overlapping_peers(world.home, world.vpc, AWAY, world.away_vpc)
    world.away.client("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=connection)
    network.inactive_peering(world.home, connection)


def test_more_addresses_than_the_quota(world: World) -> None:
    for _ in range(5):
        network.too_many_addresses(world.away)
        world.away.client("ec2").allocate_address(Domain="vpc")
    with pytest.raises(RefusedError, match="5 Elastic IPs"):
        network.too_many_addresses(world.away)


def test_a_rule_that_names_a_group_of_another_network(world: World) -> None:
    with pytest.raises(RefusedError, match="different networks"):
        network.foreign_group(world.home, world.group, world.other_group)
