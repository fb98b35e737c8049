"""What a machine is told at boot: what it runs, whom it talks to, where its secrets are, and no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from infra.architecture import Architecture, LoadFleet
from infra.boot import DATA_DEVICE, Resolved, boot_settings, redis_hosts
from infra.boot_document import BootSettings, Endpoint, Service, to_json
from infra.flows import REDIS_PORT, SENTINEL_PORT, SQL_PORT, Flow, Role, flows, places
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")
HERE = "127.0.0.1"


def settings(
    stack: str | Architecture, role: Role, region: str = "eu-west-1", index: int = 0
) -> BootSettings:
    architecture = load(stack, ROOT) if isinstance(stack, str) else stack
    hosts = {place.region: f"sql.{place.region}.example" for place in places(architecture)}
    return boot_settings(Site(architecture), role, region, Resolved(hosts, "Z0123456789ABC"), index)


def document(stack: str | Architecture, role: Role, region: str = "eu-west-1", index: int = 0) -> Any:
    return json.loads(to_json(settings(stack, role, region, index)))


def with_standbys(stack: str) -> Architecture:
    architecture = load(stack, ROOT)
    return replace(architecture, zones=3, redis=replace(architecture.redis, standbys=2))


JOURNAL = ["migrations", "ledger", "resolver", "feed", "certificate"]


@pytest.mark.parametrize(
    ("stack", "role", "expected"),
    [
        ("baseline", "node", ["mariadb", "redis", *JOURNAL, "api", "nginx"]),
        ("geo-i", "node", ["api", "nginx"]),
        ("geo-ii", "node", ["redis", "api", "nginx"]),
        ("geo-i", "core", JOURNAL),
        ("geo-ii", "core", JOURNAL),
        ("geo-i", "redis", ["redis"]),
        ("geo-i", "monitoring", ["prometheus", "grafana"]),
    ],
)
def test_a_machine_runs_what_its_role_is_for(stack: str, role: Role, expected: list[Service]) -> None:
    assert document(stack, role)["services"] == expected


def test_every_service_is_run_by_some_machine() -> None:
    run = {
        service
        for architecture in (load("baseline", ROOT), with_standbys("geo-ii"))
        for place in places(architecture)
        if place.role != "sql"
        for service in settings(architecture, place.role, place.region).services
    }
    assert run == set(get_args(Service))


@pytest.mark.parametrize(("stack", "processes"), [("baseline", 16), ("geo-i", 2), ("geo-ii", 2)])
def test_a_node_has_the_api_processes_of_the_stack_file(stack: str, processes: int) -> None:
    assert document(stack, "node")["api-processes"] == processes


@pytest.mark.parametrize(
    ("stack", "role", "runs", "master", "read"),
    [
        ("baseline", "node", "master", HERE, HERE),
        ("geo-i", "node", None, "10.4.128.10", "10.4.128.10"),
        ("geo-ii", "node", "replica", "10.4.128.10", HERE),
        ("geo-ii", "core", None, "10.4.128.10", "10.4.128.10"),
        ("geo-ii", "redis", "master", "10.4.128.10", HERE),
    ],
)
def test_redis_is_where_the_architecture_puts_it(
    stack: str, role: Role, runs: str | None, master: str, read: str
) -> None:
    assert document(stack, role)["redis"] == {
        "runs": runs,
        "master": {"host": master, "port": REDIS_PORT},
        "read": {"host": read, "port": REDIS_PORT},
        "sentinels": [],
        "append-sync": "everysec",
    }


def test_standbys_are_replicas_in_zones_of_their_own_that_sentinels_watch() -> None:
    architecture = with_standbys("geo-i")
    hosts = ("10.4.128.10", "10.4.144.10", "10.4.160.10")
    assert redis_hosts(Site(architecture)) == hosts
    for index, runs in enumerate(("master", "replica", "replica")):
        told = document(architecture, "redis", index=index)
        assert told["services"] == ["redis", "sentinel"]
        assert told["redis"]["runs"] == runs
        assert told["redis"]["master"]["host"] == hosts[0]
        assert told["reporting"]["dimension-value"].endswith(str(index))
    assert document(architecture, "node")["redis"]["sentinels"] == [
        {"host": host, "port": SENTINEL_PORT} for host in hosts
    ]


@pytest.mark.parametrize(
    ("stack", "region", "host"),
    [
        ("baseline", "eu-west-1", HERE),
        ("geo-i", "sa-east-1", "sql.eu-west-1.example"),
        ("geo-ii", "sa-east-1", "sql.sa-east-1.example"),
        ("geo-ii", "eu-west-1", "sql.eu-west-1.example"),
        ("geo-ii", "ap-southeast-2", "sql.ap-southeast-1.example"),
        ("geo-ii", "us-west-1", "sql.us-west-2.example"),
    ],
)
def test_a_node_reads_history_where_the_placement_says(stack: str, region: str, host: str) -> None:
    assert document(stack, "node", region)["sql"]["read"] == {"host": host, "port": SQL_PORT}


@pytest.mark.parametrize("flush", ["everysec", "commit"])
def test_a_machine_with_a_sql_server_of_its_own_is_told_when_to_flush_its_log(flush: Any) -> None:
    a = load("baseline", ROOT)
    assert document(replace(a, sql=replace(a.sql, log_flush=flush)), "node")["sql"]["log-flush"] == flush
    assert document("geo-ii", "node")["sql"]["log-flush"] is None
    assert document("geo-ii", "core")["sql"]["log-flush"] is None


def test_only_who_writes_history_is_told_the_accounts_for_it() -> None:
    node, core = document("geo-ii", "node")["sql"], document("geo-ii", "core")["sql"]
    baseline = document("baseline", "node")["sql"]
    assert node["master"]["host"] == "sql.eu-west-1.example"
    assert list(node["users"]) == ["sql-reader"]
    assert core["master"]["host"] == "sql.eu-west-1.example"
    assert list(core["users"]) == list(baseline["users"]) == ["sql-admin", "sql-ledger", "sql-reader"]
    assert baseline["master"]["host"] == HERE
    assert document("geo-ii", "redis")["sql"] is None


@pytest.mark.parametrize("stack", STACKS)
def test_a_machine_is_told_of_no_server_that_it_cannot_reach(stack: str) -> None:
    architecture = load(stack, ROOT)
    for place in places(architecture):
        if place.role == "sql":
            continue
        told = settings(architecture, place.role, place.region)
        reachable = {flow.port for flow in flows(architecture) if flow.source == place}
        endpoints: list[Endpoint | None] = []
        if told.redis and place.role != "redis":
            endpoints += [told.redis.master, told.redis.read, *told.redis.sentinels]
        if told.sql:
            endpoints += [told.sql.master, told.sql.read]
            read_from = {"sql", *(f.target.region for f in _sql_flows(architecture) if f.source == place)}
            assert told.sql.read.host == HERE or told.sql.read.host.split(".")[1] in read_from
        for endpoint in endpoints:
            assert endpoint is None or endpoint.host == HERE or endpoint.port in reachable


def _sql_flows(architecture: Architecture) -> list[Flow]:
    return [flow for flow in flows(architecture) if flow.target.role == "sql"]


def test_secrets_are_named_and_never_told() -> None:
    told = document("geo-i", "core")["secrets"]
    assert told["read"]["sql-admin"] == "isochrone/geo-i/sql-admin"
    assert told["write"] == {"tls-certificate": "isochrone/geo-i/tls-certificate"}
    assert document("geo-i", "node")["secrets"]["write"] == {}


def test_who_renews_the_certificate_is_told_how() -> None:
    assert document("geo-i", "core")["certificate"] == {
        "names": ["play.market.example", "*.play.market.example"],
        "challenge": "_acme-challenge.play.market.example",
        "zone-id": "Z0123456789ABC",
    }
    assert document("geo-i", "node")["certificate"] is None
    given = document(replace(load("geo-i", ROOT), certificate="given"), "core")
    assert given["certificate"] is None
    assert "certificate" not in given["services"]


def test_a_node_finds_its_group_its_hooks_and_a_public_address() -> None:
    told = document("geo-ii", "node", "ap-northeast-1")
    assert told["group"] == {
        "name": "isochrone-geo-ii-node-ap-northeast-1",
        "drain-hook": "drain",
        "launch-hook": "launch",
    }
    assert told["address-pool"] == {"tag": "isochrone:pool", "value": "isochrone-geo-ii-node-ap-northeast-1"}
    assert told["names"] == {
        "domain": "market.example",
        "play": "play.market.example",
        "regional": "ap-northeast-1.play.market.example",
    }


def test_the_core_is_in_a_group_without_an_address_of_the_pool() -> None:
    told = document("geo-i", "core")
    assert told["group"]["name"] == "isochrone-geo-i-core-eu-west-1"
    assert told["group"]["launch-hook"] == "launch"
    assert told["address-pool"] is None


def test_no_launch_is_waited_for_where_data_is_on_the_machine_or_load_comes_from_it() -> None:
    with_load = replace(load("geo-i", ROOT), load=LoadFleet())
    for told in (document("baseline", "node"), document(with_load, "load")):
        assert told["group"]["drain-hook"] == "drain"
        assert told["group"]["launch-hook"] is None


def test_a_redis_machine_is_told_its_data_volume() -> None:
    assert document("geo-i", "redis")["data-device"] == DATA_DEVICE
    assert document("geo-i", "node")["data-device"] is None


def test_figures_go_to_the_dimension_that_scaling_and_alarms_read() -> None:
    assert document("geo-i", "node", "us-east-1")["reporting"] == {
        "namespace": "Isochrone",
        "dimension": "AutoScalingGroupName",
        "dimension-value": "isochrone-geo-i-node-us-east-1",
        "metrics-port": 9100,
        "log-group": "/isochrone/geo-i/node",
    }
    assert document("geo-i", "redis")["reporting"]["dimension"] == "Machine"


def test_the_core_lists_the_machines_of_its_stack_in_every_region_for_prometheus() -> None:
    architecture = load("geo-ii", ROOT)
    listing = document("geo-ii", "core")["listing"]
    assert (listing["tag"], listing["value"]) == ("isochrone:stack", "geo-ii")
    assert sorted(listing["regions"]) == sorted(architecture.nodes.regions)
    scraping = document("geo-ii", "monitoring")["scraping"]
    assert (scraping["listed-by"], scraping["port"], scraping["path"]) == ("core", 9100, "/targets")
    assert scraping["finding"] == {**listing, "regions": ["eu-west-1"]}


@pytest.mark.parametrize("stack", STACKS)
def test_the_document_fits_user_data_and_says_its_schema(stack: str) -> None:
    architecture = load(stack, ROOT)
    for place in places(architecture):
        if place.role != "sql":
            told = document(stack, place.role, place.region)
            assert (told["schema"], told["stack"], told["role"]) == (1, stack, place.role)
            assert (told["region"], told["home"]) == (place.region, "eu-west-1")
            assert len(to_json(settings(stack, place.role, place.region))) < 16_384
