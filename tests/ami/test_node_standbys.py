"""Machines of a stack whose Redis has standbys: who follows whom, and who may command whom."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import redis

from ami import render
from ami.node import paths, redis_master
from ami.node.configure import configure
from ami.node.document import Document, Endpoint, decode
from ami.node.plan import Plan
from infra.boot import Resolved, boot_settings, redis_hosts
from infra.boot_document import to_json
from infra.flows import Role, places
from infra.site import Site
from infra.stackfile import load
from lab.waiting import until
from tests.ami.node_fakes import HOME, ROOT, disk, machine, secrets
from tests.service.conftest import end, free_port

PASSWORDS = {"redis_replica": "replica-secret", "redis_sentinel": "sentinel-secret"}


@pytest.fixture(scope="module")
def site() -> Site:
    architecture = load("geo-ii", ROOT)
    return Site(replace(architecture, zones=3, redis=replace(architecture.redis, standbys=2)))


def told(site: Site, role: Role, index: int = 0) -> Document:
    hosts = {p.region: f"sql.{p.region}.rds.amazonaws.com" for p in places(site.architecture)}
    return decode(to_json(boot_settings(site, role, HOME, Resolved(hosts, "Z0123456789ABC"), index)))


def plan(site: Site, role: Role, index: int = 0, master: Endpoint | None = None) -> Plan:
    address = redis_hosts(site)[index] if role == "redis" else "10.4.0.77"
    return configure(told(site, role, index), secrets(**PASSWORDS), machine(address=address), None, master)


def lines(made: Plan, path: Path) -> list[str]:
    (text,) = (file.text for file in made.files if file.path == path)
    return text.splitlines()


def users(config: list[str]) -> set[str]:
    return {line.split()[1] for line in config if line.startswith("user ") and line.split()[2] == "on"}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_at_home_all_but_the_master_follow_it_and_each_keeps_a_file(site: Site, index: int) -> None:
    hosts = redis_hosts(site)
    made = plan(site, "redis", index)
    config = lines(made, paths.REDIS)
    assert (f"replicaof {hosts[0]} 6379" in config) == (index > 0)
    assert "appendonly yes" in config
    assert users(config) == {"app", "replica", "sentinel"}
    assert f"sentinel monitor market {hosts[0]} 6379 2" in lines(made, paths.SENTINEL)
    assert list(made.units[:2]) == ["redis-server.service", "redis-sentinel.service"]


def test_the_machine_that_was_the_master_follows_the_one_that_was_promoted(site: Site) -> None:
    promoted = Endpoint(redis_hosts(site)[2], 6379)
    made = plan(site, "redis", 0, promoted)
    assert f"replicaof {promoted.host} 6379" in lines(made, paths.REDIS)
    assert f"sentinel monitor market {promoted.host} 6379 2" in lines(made, paths.SENTINEL)
    assert not [x for x in lines(plan(site, "redis", 2, promoted), paths.REDIS) if x.startswith("replicaof")]


def test_a_node_hangs_from_a_standby_and_no_sentinel_can_command_it(site: Site) -> None:
    hosts = redis_hosts(site)
    made = plan(site, "node")
    config = lines(made, paths.REDIS)
    (follows,) = (line.split()[1] for line in config if line.startswith("replicaof"))
    assert follows in hosts[1:]
    assert users(config) == {"app", "follow"}
    assert "replica-priority 0" in config
    assert "sentinel-secret" not in "".join(file.text for file in made.files)
    assert "market-follow.service" in made.units


def test_processes_ask_the_sentinels_for_the_master_and_wait_for_the_standbys(site: Site) -> None:
    hosts = redis_hosts(site)
    made = plan(site, "node")
    settings = tomllib.loads("\n".join(lines(made, paths.API_SETTINGS)))
    assert settings["redis-master"]["sentinels"] == [f"{host}:26379" for host in hosts]
    assert settings["redis-master"]["user"] == "app"
    assert "sentinels" not in settings["redis-read"]
    assert (settings["acknowledge"], settings["standbys"]) == ("standby", [f"{host}:6379" for host in hosts])
    follow = tomllib.loads("\n".join(lines(made, paths.FOLLOW_SETTINGS)))
    assert (follow["redis-read"]["user"], follow["redis-read"]["host"]) == ("follow", "127.0.0.1")
    ledger = tomllib.loads("\n".join(lines(plan(site, "core"), paths.LEDGER_SETTINGS)))
    assert (ledger["acknowledge"], ledger["redis-read"]["sentinels"]) == (
        "standby",
        settings["redis-master"]["sentinels"],
    )


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[int]:
    """A Sentinel that says that the master is 10.4.0.9; its port."""
    port = free_port()
    accounts = render.RedisAccounts(app="redis-secret", replica="r", sentinel="s")
    config = render.Sentinel(
        bind=("127.0.0.1",),
        announce="127.0.0.1",
        directory=tmp_path,
        accounts=accounts,
        master="10.4.0.9",
        port=port,
    )
    path = tmp_path / "sentinel.conf"
    path.write_text(config.render())
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["redis-server", str(path), "--sentinel"], stdout=log, stderr=log)

    def answers() -> bool:
        with suppress(redis.ConnectionError), closing(redis.Redis(port=port, protocol=2)) as client:
            with suppress(redis.AuthenticationError):
                client.ping()
            return True
        return False

    until("the sentinel", answers, timeout_s=20, process=process)
    yield port
    end(process)


def with_sentinels(site: Site, *ports: int) -> Document:
    document = told(site, "redis")
    assert document.redis is not None
    sentinels = tuple(Endpoint("127.0.0.1", port) for port in ports)
    return msgspec.structs.replace(
        document, redis=msgspec.structs.replace(document.redis, sentinels=sentinels)
    )


def test_a_machine_asks_the_sentinels_that_answer_where_the_master_is(
    site: Site, sentinel: int, tmp_path: Path
) -> None:
    here, _ = disk(tmp_path)
    document = with_sentinels(site, free_port(), sentinel)
    assert redis_master.find(document, secrets(), here) == Endpoint("10.4.0.9", 6379)


def test_when_none_answers_the_last_failover_counts_and_before_any_the_document(
    site: Site, tmp_path: Path
) -> None:
    here, _ = disk(tmp_path)
    document = with_sentinels(site, free_port())
    assert document.redis is not None
    assert redis_master.find(document, secrets(), here) == document.redis.master
    folder = here.at(paths.REDIS_MASTER).parent
    folder.mkdir(parents=True)
    script = ROOT / "ami" / "rootfs" / paths.RECORD_MASTER.relative_to("/")
    arguments = ["market", "leader", "start", "10.4.0.9", "6379", "10.4.1.9", "6379"]
    subprocess.run([script, *arguments], cwd=folder, check=True)
    assert redis_master.find(document, secrets(), here) == Endpoint("10.4.1.9", 6379)
