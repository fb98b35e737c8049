"""Networks never overlap, and what has a fixed address has one that it may have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.addresses import (
    MONITORING_HOST,
    REDIS_HOST,
    RESERVED_HOSTS,
    AddressPlanError,
    check_disjoint,
    plan,
)
from infra.regions import REGIONS

regions = st.lists(st.sampled_from(list(REGIONS)), unique=True, min_size=1)
zones = st.integers(2, 3)


@given(regions, zones)
def test_no_two_networks_or_subnets_overlap(regions: list[str], zones: int) -> None:
    found = plan(dict.fromkeys(regions, zones))
    assert list(found) == regions
    subnets = [subnet for region in found.values() for subnet in (*region.public, *region.isolated)]
    assert len(subnets) == 2 * zones * len(regions)
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))
    assert not any(one.network.overlaps(other.network) for one, other in combinations(found.values(), 2))


@given(regions, zones)
def test_every_subnet_is_in_its_tier_and_every_tier_in_its_network(regions: list[str], zones: int) -> None:
    for region in plan(dict.fromkeys(regions, zones)).values():
        public, isolated = region.tier("public"), region.tier("isolated")
        assert not public.overlaps(isolated)
        assert all(subnet.subnet_of(public) for subnet in region.public)
        assert all(subnet.subnet_of(isolated) for subnet in region.isolated)
        assert public.subnet_of(region.network)
        assert isolated.subnet_of(region.network)


@given(regions, regions, zones)
def test_a_region_s_addresses_do_not_depend_on_the_others(
    some: list[str], others: list[str], zones: int
) -> None:
    one, other = (plan(dict.fromkeys(regions, zones)) for regions in (some, others))
    assert all(one[region] == other[region] for region in set(some) & set(others))


@given(st.sampled_from(list(REGIONS)), zones)
def test_a_zone_more_leaves_the_addresses_of_the_others(region: str, zones: int) -> None:
    before, after = (plan({region: count})[region] for count in (zones, zones + 1))
    assert after.public[:zones] == before.public
    assert after.isolated[:zones] == before.isolated


@given(st.sampled_from(list(REGIONS)), st.integers(0, 1), st.sampled_from([REDIS_HOST, MONITORING_HOST]))
def test_a_fixed_address_is_in_its_zone_and_not_one_that_aws_keeps(region: str, zone: int, host: int) -> None:
    addresses = plan({region: 2})[region]
    address = addresses.host(zone, host)
    subnet = addresses.isolated[zone]
    assert address in subnet
    assert address not in list(subnet)[:RESERVED_HOSTS]
    assert address != subnet.broadcast_address


def test_the_master_of_redis_in_ireland_is_where_every_machine_looks_for_it() -> None:
    assert plan({"eu-west-1": 2})["eu-west-1"].host(0, REDIS_HOST) == IPv4Address("10.4.128.10")


@pytest.mark.parametrize("number", [0, 3, 4095, 4096, -1])
def test_an_address_that_no_machine_can_have_is_refused(number: int) -> None:
    with pytest.raises(AddressPlanError, match=f"number {number}"):
        plan({"eu-west-1": 2})["eu-west-1"].host(0, number)


@pytest.mark.parametrize(
    ("networks", "pairs"),
    [
        ({"a": "10.1.0.0/16", "b": "10.2.0.0/16"}, []),
        ({"a": "10.1.0.0/16", "b": "10.1.0.0/16"}, [("a", "b")]),
        ({"a": "10.0.0.0/8", "b": "10.2.0.0/16", "c": "10.3.0.0/16"}, [("a", "b"), ("a", "c")]),
        ({"a": "10.1.0.0/16", "b": "10.0.0.0/15"}, [("a", "b")]),
    ],
)
def test_every_overlap_is_named(networks: dict[str, str], pairs: list[tuple[str, str]]) -> None:
    plans = {name: IPv4Network(network) for name, network in networks.items()}
    if not pairs:
        check_disjoint(plans)
        return
    with pytest.raises(AddressPlanError) as caught:
        check_disjoint(plans)
    assert str(caught.value).count("overlap") == len(pairs)
    for a, b in pairs:
        assert f"{a} ({networks[a]}) and {b} ({networks[b]})" in str(caught.value)
