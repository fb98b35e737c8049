"""The security rules admit every connection that the architecture makes, and none that it does not."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from infra.flows import Flow, Place, flows
from infra.rules import WORLD, Rule, rules
from infra.site import Site
from tests.infra.components import site

STACKS = ("baseline", "geo-i", "geo-ii")


def covers(where: Site, rule: Rule, flow: Flow) -> bool:
    """Whether a rule lets a flow pass on its side."""
    here, other = (flow.target, flow.source) if rule.direction == "ingress" else (flow.source, flow.target)
    if rule.place != here or rule.port != flow.port:
        return False
    if isinstance(rule.peer, IPv4Network):
        addresses = where.addresses[other.region]
        subnets = addresses.public if other.tier == "public" else addresses.isolated
        return all(subnet.subnet_of(rule.peer) for subnet in subnets)
    return rule.peer == other.role and here.region == other.region


@pytest.mark.parametrize("stack", STACKS)
def test_every_flow_may_leave_and_may_enter(stack: str) -> None:
    where = site(stack)
    found = rules(where)
    for flow in flows(where.architecture):
        for direction in ("egress", "ingress"):
            assert any(covers(where, rule, flow) for rule in found if rule.direction == direction), flow


@pytest.mark.parametrize("stack", STACKS)
def test_every_rule_between_machines_is_for_a_flow(stack: str) -> None:
    where = site(stack)
    for rule in rules(where):
        if rule.peer != WORLD:
            assert any(covers(where, rule, flow) for flow in flows(where.architecture)), rule


@pytest.mark.parametrize("stack", STACKS)
def test_the_world_reaches_nodes_only_and_there_443_and_80_only(stack: str) -> None:
    open_ = [rule for rule in rules(site(stack)) if rule.direction == "ingress" and rule.peer == WORLD]
    assert {rule.place.role for rule in open_} == {"node"}
    assert {rule.port for rule in open_} == {443, 80}


def test_a_rule_across_regions_names_the_tier_that_the_machines_are_in() -> None:
    (rule,) = (
        rule
        for rule in rules(site("geo-ii"))
        if rule.place == Place("sql", "ap-southeast-1")
        and rule.direction == "ingress"
        and isinstance(rule.peer, IPv4Network)
    )
    assert rule.peer == IPv4Network("10.6.0.0/17"), "the public half of Sydney's network"


@pytest.mark.parametrize("stack", STACKS)
def test_no_two_rules_have_the_same_key(stack: str) -> None:
    keys = [rule.key for rule in rules(site(stack))]
    assert len(keys) == len(set(keys))
