"""What holds of the networks of every stack."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import product
from typing import Final

from infra.flows import Flow, flows, peerings, places
from infra.regions import REGIONS
from tests.infra.cloud.view import View

PORTS: Final = (22, 80, 443, 3000, 3306, 6379, 8080, 9090, 9100, 16379, 26379)
"""The ports that anything of the service, or an administrator's habit, might answer at."""


class EveryNetwork:
    def test_each_region_has_one_network_of_the_plan_and_the_others_have_none(self, view: View) -> None:
        for region in REGIONS:
            planned = [str(view.site.addresses[region].network)] if region in view.site.regions else []
            assert [vpc["CidrBlock"] for vpc in view.vpcs(region)] == planned

    def test_a_network_resolves_names(self, view: View) -> None:
        for region in view.site.regions:
            (vpc,) = view.vpcs(region)
            for attribute, key in (
                ("enableDnsSupport", "EnableDnsSupport"),
                ("enableDnsHostnames", "EnableDnsHostnames"),
            ):
                answer = view.client("ec2", region).describe_vpc_attribute(
                    VpcId=vpc["VpcId"], Attribute=attribute
                )
                assert answer[key]["Value"]

    def test_each_tier_has_a_subnet_in_each_of_several_zones(self, view: View) -> None:
        for region in view.site.regions:
            planned = view.site.addresses[region]
            found = {IPv4Network(s["CidrBlock"]): s["AvailabilityZone"] for s in view.subnets(region)}
            assert set(found) == {*planned.public, *planned.isolated}
            for tier in (planned.public, planned.isolated):
                zones = [found[network] for network in tier]
                assert len(set(zones)) == len(zones) == view.site.architecture.zones_in(region) >= 2

    def test_only_public_subnets_lead_to_the_world(self, view: View) -> None:
        for region in view.site.regions:
            public = {str(network) for network in view.site.addresses[region].public}
            for subnet in view.subnets(region):
                targets = [route.target for route in view.networks.routes[subnet["SubnetId"]]]
                leads = any(target.startswith("igw-") for target in targets)
                assert leads == (subnet["CidrBlock"] in public)
                assert not subnet["MapPublicIpOnLaunch"]

    def test_the_peerings_are_those_of_the_flows_and_active(self, view: View) -> None:
        of = {vpc["VpcId"]: region for region in view.site.regions for vpc in view.vpcs(region)}
        found = {frozenset(of[vpc] for vpc in peering.vpcs) for peering in view.networks.peerings.values()}
        assert found == {frozenset(pair) for pair in peerings(view.site.architecture)}

    def test_every_flow_finds_its_way_there_and_back(self, view: View) -> None:
        for flow in flows(view.site.architecture):
            for source, target in product(view.spots(flow.source), view.spots(flow.target)):
                if source != target:
                    assert view.networks.obstacles(source, target, flow.port) == [], flow

    def test_nothing_else_connects_to_anything(self, view: View) -> None:
        wanted = {(flow.source, flow.target, flow.port) for flow in flows(view.site.architecture)}
        spots = {place: view.spots(place) for place in places(view.site.architecture)}
        for source, target, port in product(spots, spots, PORTS):
            if (source, target, port) in wanted or (target.role == "node" and port in (80, 443)):
                continue
            for one, other in product(spots[source], spots[target]):
                flow = Flow(source, target, port, "nobody asked for it")
                assert one == other or view.networks.obstacles(one, other, port), flow

    def test_the_world_reaches_nodes_by_http_and_https_and_nothing_else(self, view: View) -> None:
        ports = sorted({*PORTS, *(rule.first for rule in view.networks.rules), *range(0, 65536, 997)})
        for place in places(view.site.architecture):
            for spot in view.spots(place):
                found = [port for port in ports if view.networks.open_to_world(spot, port)]
                assert found == ([80, 443] if place.role == "node" else []), place

    def test_no_group_lets_in_who_is_not_of_the_stacks_networks(self, view: View) -> None:
        planned = [view.site.addresses[region].network for region in view.site.regions]
        nodes = {
            group
            for place in places(view.site.architecture)
            for spot in view.spots(place)
            if place.role == "node"
            for group in spot.groups
        }
        ours = {
            group["GroupId"]
            for region in view.site.regions
            for group in view.client("ec2", region).describe_security_groups(Filters=view.own())[
                "SecurityGroups"
            ]
        }
        for rule in view.networks.rules:
            if rule.group not in ours or rule.egress or isinstance(rule.peer, str):
                continue
            if not any(rule.peer.subnet_of(network) for network in planned):
                assert rule.group in nodes
                assert (rule.protocol, rule.first, rule.last) in (("tcp", 80, 80), ("tcp", 443, 443))

    def test_every_network_reaches_s3_without_the_world(self, view: View) -> None:
        for region in view.site.regions:
            found = view.client("ec2", region).describe_vpc_endpoints(Filters=view.own())["VpcEndpoints"]
            (gateway,) = [endpoint for endpoint in found if endpoint["VpcEndpointType"] == "Gateway"]
            assert gateway["ServiceName"] == f"com.amazonaws.{region}.s3"
            tables = view.client("ec2", region).describe_route_tables(Filters=view.own())["RouteTables"]
            assert set(gateway["RouteTableIds"]) == {table["RouteTableId"] for table in tables}

    def test_isolated_machines_reach_the_services_that_they_call(self, view: View) -> None:
        home = view.site.home
        for region in view.site.regions:
            found = [
                endpoint
                for endpoint in view.client("ec2", region).describe_vpc_endpoints(Filters=view.own())[
                    "VpcEndpoints"
                ]
                if endpoint["VpcEndpointType"] == "Interface"
            ]
            services = {
                endpoint["ServiceName"].removeprefix(f"com.amazonaws.{region}.") for endpoint in found
            }
            if region != home:
                assert services == set()
                continue
            assert services >= {"secretsmanager", "monitoring", "logs", "ssm", "ssmmessages", "ec2messages"}
            isolated = {str(network) for network in view.site.addresses[home].isolated}
            subnets = {s["SubnetId"] for s in view.subnets(home) if s["CidrBlock"] in isolated}
            for endpoint in found:
                assert endpoint["PrivateDnsEnabled"]
                assert set(endpoint["SubnetIds"]) == subnets

    def test_endpoints_answer_every_isolated_machine(self, view: View) -> None:
        home = view.client("ec2")
        found = home.describe_vpc_endpoints(Filters=view.own())["VpcEndpoints"]
        groups = {g["GroupId"] for e in found if e["VpcEndpointType"] == "Interface" for g in e["Groups"]}
        for place in places(view.site.architecture):
            if place.region == view.site.home and place.role in ("redis", "monitoring"):
                for spot in view.spots(place):
                    rules = [rule for rule in view.networks.rules if rule.group in groups and not rule.egress]
                    assert any(rule.admits(443, spot.address, spot.groups) for rule in rules)
