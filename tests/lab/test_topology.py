from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.architecture import Architecture
from infra.regions import REGIONS, matrices, matrix
from infra.stackfile import load
from lab.errors import LabError
from lab.topology import Topology, topology

STACKS = ("baseline", "geo-i", "geo-ii")
HOME = "eu-west-1"


def architecture(stack: str) -> Architecture:
    return load(stack, Path(__file__).parents[2])


def machines_of(stack: str, year: str = "2017") -> Topology:
    return topology(architecture(stack), matrix(year))


@pytest.mark.parametrize(
    ("stack", "roles"),
    [
        ("baseline", {"node": 1, "users": 8}),
        ("geo-i", {"node": 8, "core": 1, "redis": 1, "sql": 1, "users": 8}),
        ("geo-ii", {"node": 8, "core": 1, "redis": 1, "sql": 1, "sql-replica": 5, "users": 8}),
    ],
)
def test_machines_of_each_role(stack: str, roles: dict[str, int]) -> None:
    assert Counter(m.role for m in machines_of(stack).machines.values()) == roles


@pytest.mark.parametrize("stack", STACKS)
def test_addresses_are_distinct_and_in_the_range_for_benchmarks(stack: str) -> None:
    addresses = [ipaddress.ip_address(m.address) for m in machines_of(stack).machines.values()]
    assert len(set(addresses)) == len(addresses)
    assert all(a in ipaddress.ip_network("198.18.0.0/15") for a in addresses)


@pytest.mark.parametrize("stack", STACKS)
def test_one_master_of_each_kind_and_one_ledger_all_at_home(stack: str) -> None:
    t = machines_of(stack)
    assert [m.redis.replica_of for m in t.machines.values() if m.redis].count(None) == 1
    assert [m.sql.replica_of for m in t.machines.values() if m.sql].count(None) == 1
    assert sum(1 for m in t.machines.values() if m.ledger) == 1
    assert {t.redis_master.region, t.sql_master.region, t.home_machine.region} == {HOME}


def test_the_baseline_runs_everything_on_its_node() -> None:
    t = machines_of("baseline")
    node = t.machines["node-eu-west-1"]
    assert t.redis_master == t.sql_master == t.home_machine == node
    assert node.api is not None
    assert node.api.processes == 16
    assert {node.api.redis_master, node.api.redis_read, node.api.sql_master, node.api.sql_read} == {node.name}


@pytest.mark.parametrize("region", REGIONS)
def test_geo_i_reads_and_writes_at_home_from_everywhere(region: str) -> None:
    api = machines_of("geo-i").machines[f"node-{region}"].api
    assert api is not None
    assert (api.redis_master, api.redis_read, api.sql_master, api.sql_read) == (
        "redis",
        "redis",
        "sql",
        "sql",
    )


@pytest.mark.parametrize("region", REGIONS)
def test_geo_ii_reads_live_state_from_a_replica_on_its_own_node(region: str) -> None:
    node = machines_of("geo-ii").machines[f"node-{region}"]
    assert node.redis is not None
    assert node.redis.replica_of == "redis"
    assert node.api is not None
    assert (node.api.redis_master, node.api.redis_read) == ("redis", node.name)


@pytest.mark.parametrize(
    ("region", "server"),
    [
        ("eu-west-1", "sql"),
        ("us-east-1", "sql-replica-us-east-1"),
        ("us-west-2", "sql-replica-us-west-2"),
        ("ap-southeast-1", "sql-replica-ap-southeast-1"),
        ("ap-northeast-1", "sql-replica-ap-northeast-1"),
        ("sa-east-1", "sql-replica-sa-east-1"),
        ("us-west-1", "sql-replica-us-west-2"),
        ("ap-southeast-2", "sql-replica-ap-southeast-1"),
    ],
)
def test_geo_ii_reads_history_from_the_nearest_of_five_replicas(region: str, server: str) -> None:
    t = machines_of("geo-ii")
    api = t.machines[f"node-{region}"].api
    assert api is not None
    assert (api.sql_master, api.sql_read) == ("sql", server)
    assert server in t.machines


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("flush", ["everysec", "commit"])
def test_every_sql_server_flushes_its_log_as_the_stack_file_says(stack: str, flush: Any) -> None:
    a = architecture(stack)
    t = topology(replace(a, sql=replace(a.sql, log_flush=flush)), matrix("2017"))
    assert {m.sql.log_flush for m in t.machines.values() if m.sql} == {flush}


def test_a_chain_of_replicas_follows_its_own_source() -> None:
    a = architecture("geo-ii")
    chained = replace(
        a, sql=replace(a.sql, limits=replace(a.sql.limits, replicas_per_source=1, region_crossings=2))
    )
    chained = replace(
        chained, sql=replace(chained.sql, replica_regions=("us-east-1", "us-west-2"), read_fallback={})
    )
    servers = topology(chained, matrix("2017")).machines
    sources = {name: m.sql.replica_of for name, m in servers.items() if m.sql and m.sql.replica_of}
    assert sources == {"sql-replica-us-east-1": "sql", "sql-replica-us-west-2": "sql-replica-us-east-1"}


def test_with_cascading_every_region_of_geo_ii_reads_history_at_its_own_server() -> None:
    a = architecture("geo-ii")
    cascading = replace(a, sql=replace(a.sql, limits=replace(a.sql.limits, region_crossings=2)))
    servers = topology(cascading, matrix("2017")).machines
    sydney = servers["sql-replica-ap-southeast-2"].sql
    assert sydney is not None
    assert sydney.replica_of == "sql-replica-ap-southeast-1"
    node = servers["node-ap-southeast-2"].api
    assert node is not None
    assert node.sql_read == "sql-replica-ap-southeast-2"


def test_what_the_lab_does_not_run_is_refused_with_every_key_to_change() -> None:
    a = architecture("geo-ii")
    big = replace(a, nodes=replace(a.nodes, per_region=2))
    with pytest.raises(LabError) as caught:
        topology(big, matrix("2017"))
    assert "set isochrone:nodes.per-region to 1" in str(caught.value)


@pytest.mark.parametrize("year", matrices())
@pytest.mark.parametrize("stack", ["geo-i", "geo-ii"])
def test_with_a_node_in_every_region_users_are_sent_to_their_own(stack: str, year: str) -> None:
    t = machines_of(stack, year)
    for region in REGIONS:
        assert t.records[region]["play.market.example"] == (t.machines[f"node-{region}"].address,)


def test_the_baseline_sends_every_user_to_ireland() -> None:
    t = machines_of("baseline")
    node = t.machines["node-eu-west-1"].address
    for region in REGIONS:
        assert t.records[region] == {
            "play.market.example": (node,),
            "eu-west-1.play.market.example": (node,),
        }


@pytest.mark.parametrize("region", REGIONS)
def test_a_regions_name_leads_to_its_node_from_everywhere(region: str) -> None:
    t = machines_of("geo-ii")
    for records in t.records.values():
        assert records[f"{region}.play.market.example"] == (t.machines[f"node-{region}"].address,)


def test_without_a_node_of_its_own_a_region_is_sent_to_the_nearest() -> None:
    a = architecture("geo-i")
    few = replace(a, nodes=replace(a.nodes, regions=("eu-west-1", "us-west-2", "ap-southeast-1")))
    t = topology(few, matrix("2017"))
    assert t.resolves_to["us-west-1"] == "us-west-2"
    assert t.resolves_to["ap-northeast-1"] == "ap-southeast-1"
    assert t.resolves_to["us-east-1"] == "eu-west-1"
    assert "us-west-1.play.market.example" not in t.records["us-west-1"]


@pytest.mark.parametrize(
    ("stack", "machine", "cores", "memory_gib", "disk_gib"),
    [
        ("baseline", "node-eu-west-1", 32, 60, 140),
        ("geo-i", "node-sa-east-1", 4, 15, 140),
        ("geo-i", "redis", 2, 17.1, 140),
        ("geo-i", "sql", 16, 122, 100),
        ("geo-i", "core", 1, 3.75, 20),
        ("geo-ii", "node-sa-east-1", 8, 30, 140),
        ("geo-ii", "sql", 8, 61, 100),
        ("geo-ii", "sql-replica-sa-east-1", 1, 3.75, 100),
    ],
)
def test_capacities_are_those_of_the_machines_stood_for(
    stack: str, machine: str, cores: int, memory_gib: float, disk_gib: int
) -> None:
    capacity = machines_of(stack).machines[machine].capacity
    assert capacity is not None
    assert capacity.cores == cores
    assert capacity.memory_mib == pytest.approx(memory_gib * 1024)
    assert capacity.disk_mib == disk_gib * 1024


@pytest.mark.parametrize("stack", STACKS)
def test_the_load_generators_have_no_capacity_and_count_in_no_meter(stack: str) -> None:
    t = machines_of(stack)
    assert [m.region for m in t.of_role("users")] == list(REGIONS)
    assert all(m.capacity is None for m in t.of_role("users"))
    assert all(m.capacity for m in t.machines.values() if m.role != "users")


def test_standbys_are_machines_at_home_with_a_sentinel_each_and_nodes_hang_from_them() -> None:
    stack = architecture("geo-ii")
    t = topology(replace(stack, redis=replace(stack.redis, standbys=2)), matrix("2017"))
    assert [m.name for m in t.sentinels] == ["redis", "redis-1", "redis-2"]
    assert {m.region for m in t.sentinels} == {HOME}
    assert len({m.address for m in t.machines.values()}) == len(t.machines)
    assert t.redis_master.name == "redis"
    standbys = [m.name for m in t.machines.values() if m.redis and m.redis.standby]
    assert standbys == ["redis-1", "redis-2"]
    follows = {m.redis.replica_of for m in t.of_role("node") if m.redis}
    assert follows == set(standbys)
    assert all(m.follow for m in t.of_role("node"))


def test_without_standbys_there_is_no_sentinel_and_nothing_to_hang_up_again() -> None:
    t = machines_of("geo-ii")
    assert t.sentinels == ()
    assert not any(m.follow for m in t.machines.values())
