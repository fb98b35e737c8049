"""Networks: VPCs, subnets, routes, endpoints, peerings, addresses."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.account import ACCOUNT_ID
from tests.infra.cloud.inputs import Inputs, tagged
from tests.infra.cloud.refusals import network as refuse
from tests.infra.cloud.registry import Made, Place, handler


def arn(place: Place, path: str, service: str = "ec2") -> str:
    """The ARN of something in a place."""
    return f"arn:aws:{service}:{place.region}:{ACCOUNT_ID}:{path}"


@handler("aws:ec2/vpc:Vpc")
def vpc(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    made = ec2.create_vpc(
        **inputs.params(cidrBlock="CidrBlock", instanceTenancy="InstanceTenancy"),
        **tagged("vpc", inputs.tags()),
    )["Vpc"]
    for key, name in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
        if key in inputs:
            ec2.modify_vpc_attribute(VpcId=made["VpcId"], **{name: {"Value": inputs.take(key)}})
    only = [{"Name": "vpc-id", "Values": [made["VpcId"]]}]
    (group,) = ec2.describe_security_groups(Filters=only)["SecurityGroups"]
    (table,) = ec2.describe_route_tables(Filters=only)["RouteTables"]
    return Made(
        made["VpcId"],
        {
            "arn": arn(place, f"vpc/{made['VpcId']}"),
            "ownerId": ACCOUNT_ID,
            "defaultSecurityGroupId": group["GroupId"],
            "mainRouteTableId": table["RouteTableId"],
            "defaultRouteTableId": table["RouteTableId"],
        },
    )


@handler("aws:ec2/subnet:Subnet")
def subnet(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    zone = inputs.take("availabilityZone")
    refuse.foreign_zone(place, zone)
    id_ = ec2.create_subnet(
        AvailabilityZone=zone,
        **inputs.params(vpcId="VpcId", cidrBlock="CidrBlock"),
        **tagged("subnet", inputs.tags()),
    )["Subnet"]["SubnetId"]
    public = inputs.get("mapPublicIpOnLaunch", False)
    ec2.modify_subnet_attribute(SubnetId=id_, MapPublicIpOnLaunch={"Value": public})
    return Made(id_, {"arn": arn(place, f"subnet/{id_}"), "ownerId": ACCOUNT_ID})


@handler("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    made = ec2.create_internet_gateway(**tagged("internet-gateway", inputs.tags()))["InternetGateway"]
    id_ = made["InternetGatewayId"]
    if "vpcId" in inputs:
        ec2.attach_internet_gateway(InternetGatewayId=id_, VpcId=inputs.take("vpcId"))
    return Made(id_, {"arn": arn(place, f"internet-gateway/{id_}"), "ownerId": ACCOUNT_ID})


@handler("aws:ec2/routeTable:RouteTable")
def route_table(place: Place, inputs: Inputs) -> Made:
    made = place.client("ec2").create_route_table(
        VpcId=inputs.take("vpcId"), **tagged("route-table", inputs.tags())
    )["RouteTable"]
    id_ = made["RouteTableId"]
    return Made(id_, {"arn": arn(place, f"route-table/{id_}"), "ownerId": ACCOUNT_ID})


@handler("aws:ec2/route:Route")
def route(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(
        routeTableId="RouteTableId",
        destinationCidrBlock="DestinationCidrBlock",
        gatewayId="GatewayId",
        natGatewayId="NatGatewayId",
        vpcPeeringConnectionId="VpcPeeringConnectionId",
    )
    refuse.loose_range(params["DestinationCidrBlock"])
    refuse.route_taken(place, params["RouteTableId"], params["DestinationCidrBlock"])
    if "VpcPeeringConnectionId" in params:
        refuse.inactive_peering(place, params["VpcPeeringConnectionId"])
    place.client("ec2").create_route(**params)
    return Made(f"r-{params['RouteTableId']}{params['DestinationCidrBlock']}", {"state": "active"})


@handler("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(subnetId="SubnetId", routeTableId="RouteTableId")
    refuse.foreign_route_table(place, params["SubnetId"], params["RouteTableId"])
    return Made(place.client("ec2").associate_route_table(**params)["AssociationId"])


@handler("aws:ec2/vpcEndpoint:VpcEndpoint")
def vpc_endpoint(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(
        vpcId="VpcId",
        serviceName="ServiceName",
        vpcEndpointType="VpcEndpointType",
        routeTableIds="RouteTableIds",
        subnetIds="SubnetIds",
        securityGroupIds="SecurityGroupIds",
        privateDnsEnabled="PrivateDnsEnabled",
        policy="PolicyDocument",
    )
    refuse.endpoint_of_no_service(place, params["ServiceName"])
    refuse.endpoint_in_wrong_form(place, params)
    made = place.client("ec2").create_vpc_endpoint(**params, **tagged("vpc-endpoint", inputs.tags()))
    id_ = made["VpcEndpoint"]["VpcEndpointId"]
    return Made(
        id_,
        {
            "arn": arn(place, f"vpc-endpoint/{id_}"),
            "dnsEntries": made["VpcEndpoint"].get("DnsEntries", []),
            "prefixListId": "pl-12345678",
            "state": "available",
        },
    )


@handler("aws:ec2/vpcPeeringConnection:VpcPeeringConnection")
def vpc_peering_connection(place: Place, inputs: Inputs) -> Made:
    params = inputs.params(
        vpcId="VpcId", peerVpcId="PeerVpcId", peerRegion="PeerRegion", peerOwnerId="PeerOwnerId"
    )
    if inputs.get("autoAccept", False):
        refuse.accepted_from_afar(place, params.get("PeerRegion", place.region))
    refuse.overlapping_peers(
        place, params["VpcId"], params.get("PeerRegion", place.region), params["PeerVpcId"]
    )
    made: dict[str, Any] = place.client("ec2").create_vpc_peering_connection(
        **params, **tagged("vpc-peering-connection", inputs.tags())
    )["VpcPeeringConnection"]
    return Made(made["VpcPeeringConnectionId"], {"acceptStatus": made["Status"]["Code"]})


@handler("aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter")
def vpc_peering_connection_accepter(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    id_ = inputs.take("vpcPeeringConnectionId")
    refuse.acceptance_elsewhere(place, id_)
    if inputs.get("autoAccept", False):
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=id_)
    tags = inputs.tags()
    if tags:
        ec2.create_tags(Resources=[id_], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    (found,) = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[id_])["VpcPeeringConnections"]
    return Made(id_, {"acceptStatus": found["Status"]["Code"]})


@handler("aws:ec2/peeringConnectionOptions:PeeringConnectionOptions")
def peering_connection_options(place: Place, inputs: Inputs) -> Made:
    id_ = inputs.take("vpcPeeringConnectionId")
    refuse.inactive_peering(place, id_)
    params: dict[str, Any] = {}
    for key, name in (
        ("requester", "RequesterPeeringConnectionOptions"),
        ("accepter", "AccepterPeeringConnectionOptions"),
    ):
        if part := inputs.part(key):
            params[name] = part.params(allowRemoteVpcDnsResolution="AllowDnsResolutionFromRemoteVpc")
    place.client("ec2").modify_vpc_peering_connection_options(VpcPeeringConnectionId=id_, **params)
    return Made(id_)


@handler("aws:ec2/eip:Eip")
def eip(place: Place, inputs: Inputs) -> Made:
    inputs.only("domain", "vpc")
    refuse.too_many_addresses(place)
    made = place.client("ec2").allocate_address(Domain="vpc", **tagged("elastic-ip", inputs.tags()))
    return Made(
        made["AllocationId"],
        {
            "arn": arn(place, f"elastic-ip/{made['AllocationId']}"),
            "allocationId": made["AllocationId"],
            "publicIp": made["PublicIp"],
        },
    )
