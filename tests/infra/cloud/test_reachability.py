"""The function that says who can connect to whom, on made-up networks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from tests.infra.cloud.reachability import LOCAL, Networks, Peering, Route, Rule, Spot

HOME = Spot("eu-west-1", "vpc-home", "subnet-home", IPv4Address("10.4.128.10"), ("sg-redis",))
NODE = Spot("us-east-1", "vpc-east", "subnet-east", IPv4Address("10.1.0.10"), ("sg-node",))
NEAR = Spot("eu-west-1", "vpc-home", "subnet-near", IPv4Address("10.4.0.10"), ("sg-near",))


def network(text: str) -> IPv4Network:
    return IPv4Network(text)


GOOD = Networks(
    routes={
        "subnet-home": (Route(network("10.4.0.0/16"), LOCAL), Route(network("10.1.0.0/16"), "pcx-1")),
        "subnet-east": (
            Route(network("10.1.0.0/16"), LOCAL),
            Route(network("10.4.0.0/16"), "pcx-1"),
            Route(network("0.0.0.0/0"), "igw-1"),
        ),
        "subnet-near": (Route(network("10.4.0.0/16"), LOCAL),),
    },
    rules=(
        Rule("sg-node", True, "tcp", 6379, 6379, network("10.4.128.0/17")),
        Rule("sg-redis", False, "tcp", 6379, 6379, network("10.1.0.0/17")),
        Rule("sg-node", False, "tcp", 443, 443, network("0.0.0.0/0")),
        Rule("sg-near", True, "tcp", 6379, 6379, "sg-redis"),
        Rule("sg-redis", False, "tcp", 6379, 6379, "sg-near"),
    ),
    peerings={"pcx-1": Peering("pcx-1", frozenset({"vpc-home", "vpc-east"}))},
)


def test_a_route_both_ways_and_a_rule_on_both_sides_make_a_connection() -> None:
    assert GOOD.obstacles(NODE, HOME, 6379) == []
    assert GOOD.obstacles(NEAR, HOME, 6379) == []


def test_another_port_is_refused_on_both_sides() -> None:
    assert len(GOOD.obstacles(NODE, HOME, 3306)) == 2


def test_the_other_direction_is_refused() -> None:
    assert GOOD.obstacles(HOME, NODE, 6379) != []


def test_a_missing_route_back_is_an_obstacle() -> None:
    routes = {**GOOD.routes, "subnet-home": (Route(network("10.4.0.0/16"), LOCAL),)}
    assert GOOD.obstacles(NODE, HOME, 6379) == []
    assert replace(GOOD, routes=routes).obstacles(NODE, HOME, 6379) == [
        "no route from 10.4.128.10 (eu-west-1) to 10.1.0.10 (us-east-1)"
    ]


def test_a_peering_that_is_not_active_is_an_obstacle() -> None:
    assert len(replace(GOOD, peerings={}).obstacles(NODE, HOME, 6379)) == 2


def test_a_peering_with_another_network_is_an_obstacle() -> None:
    other = {"pcx-1": Peering("pcx-1", frozenset({"vpc-home", "vpc-west"}))}
    assert len(replace(GOOD, peerings=other).obstacles(NODE, HOME, 6379)) == 2


def test_a_group_is_not_known_in_another_network() -> None:
    afar = replace(NEAR, vpc="vpc-east", subnet="subnet-east", address=IPv4Address("10.1.0.20"))
    assert any("no rule into sg-redis" in obstacle for obstacle in GOOD.obstacles(afar, HOME, 80))


def test_the_longest_route_counts() -> None:
    longer = (*GOOD.routes["subnet-east"], Route(network("10.4.128.0/17"), "igw-1"))
    worse = replace(GOOD, routes={**GOOD.routes, "subnet-east": longer})
    assert worse.obstacles(NODE, HOME, 6379) == [
        "no route from 10.1.0.10 (us-east-1) to 10.4.128.10 (eu-west-1)"
    ]


def test_the_world_needs_a_route_and_a_rule() -> None:
    assert GOOD.open_to_world(NODE, 443)
    assert not GOOD.open_to_world(NODE, 6379)
    assert not GOOD.open_to_world(HOME, 6379)
    wide = replace(GOOD, rules=(*GOOD.rules, Rule("sg-redis", False, "-1", 0, 65535, network("0.0.0.0/0"))))
    assert not wide.open_to_world(HOME, 6379)
