"""A peering between the networks of two regions, with the routes on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.network import RegionNetwork
from infra.site import Site


@dataclass(frozen=True)
class PeeringArgs:
    """The two networks that are joined; `requester` asks, `accepter` accepts."""

    site: Site
    requester: RegionNetwork
    accepter: RegionNetwork


class Peering(pulumi.ComponentResource):
    """Joins two networks: the request, its acceptance, and a route to the other in every route table."""

    def __init__(self, name: str, args: PeeringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:Peering", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        one, other = args.requester, args.accepter
        tags = args.site.tags(f"{one.region}-{other.region}")
        request = aws.ec2.VpcPeeringConnection(
            f"{name}-request",
            region=one.region,
            vpc_id=one.vpc_id,
            peer_vpc_id=other.vpc_id,
            peer_region=other.region,
            auto_accept=False,
            tags=tags,
            opts=child,
        )
        accepted = aws.ec2.VpcPeeringConnectionAccepter(
            f"{name}-accepted",
            region=other.region,
            vpc_peering_connection_id=request.id,
            auto_accept=True,
            tags=tags,
            opts=child,
        )
        for here, there in ((one, other), (other, one)):
            for tier, table in here.route_tables.items():
                aws.ec2.Route(
                    f"{name}-{here.region}-{tier}",
                    region=here.region,
                    route_table_id=table,
                    destination_cidr_block=str(args.site.addresses[there.region].network),
                    vpc_peering_connection_id=request.id,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[accepted]),
                )
        self.register_outputs({"connection_id": request.id})
