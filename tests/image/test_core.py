"""The small machine at home: it makes the schema on AWS's SQL server and brings the journal there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from ami.node.session_agent import UNIT
from infra.secret_names import SQL_USERS
from tests.image import agent, cloud, machines, peers, remains, user
from tests.image.guest import ADDRESS, Guest
from tests.image.machines import Host
from tests.service.client import JOIN, connected, prediction

ELSEWHERE = "10.6.0.9"


@pytest.fixture(scope="module")
def aws(own_network: None) -> Iterator[cloud.Cloud]:
    with cloud.serving() as running:
        yield running


@pytest.fixture(scope="module")
def core(aws: cloud.Cloud) -> cloud.Machine:
    stack = cloud.stack("geo-i")
    aws.launch("ap-southeast-2", ELSEWHERE, stack="geo-i", role="node")
    return cloud.machine(aws, stack, "core", stack.site.home)


@pytest.fixture(scope="module")
def elsewhere(core: cloud.Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Peers]:
    with peers.serving(core.stack, tmp_path_factory.mktemp("peers"), schema=False) as running:
        yield running


@pytest.fixture(scope="module")
def signed(aws: cloud.Cloud, tmp_path_factory: pytest.TempPathFactory) -> agent.Published:
    """What AWS has in its bucket of the region."""
    return agent.publish(aws, cloud.stack("geo-i").site.home, tmp_path_factory.mktemp("agent"))


@pytest.fixture(scope="module")
def guest(
    core: cloud.Machine, elsewhere: peers.Peers, signed: agent.Published, host: Host
) -> Iterator[Guest]:
    files = {**peers.FILES, **peers.authorities(core.stack), agent.KEY_FILE: signed.key}
    with host.booted(core, files) as running:
        yield running


def test_it_boots_and_reports_healthy(guest: Guest, aws: cloud.Cloud) -> None:
    assert guest.settled() == "running"
    machines.healthy(guest, aws)


def test_it_runs_what_a_core_needs_and_nothing_else(guest: Guest) -> None:
    guest.until("the schema is there", lambda: "market-migrate" not in machines.services(guest) or None)
    assert machines.services(guest) == {
        "market-ledger",
        "market-resolver",
        "market-feed",
        "isochrone-certificate",
        *machines.COMPANIONS,
    }
    for port in (user.HTTPS_PORT, machines.HTTP_PORT, machines.REDIS_PORT, machines.PROMETHEUS_PORT):
        assert peers.closed(port)


def test_it_has_made_the_accounts_on_the_sql_server(guest: Guest, elsewhere: peers.Peers) -> None:
    with closing(elsewhere.sql()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user FROM mysql.user WHERE user LIKE 'market%%'")
        assert {user for (user,) in cursor.fetchall()} == set(SQL_USERS.values())


def test_a_prediction_that_is_acknowledged_reaches_sql(
    guest: Guest, core: cloud.Machine, elsewhere: peers.Peers
) -> None:
    elsewhere.market("seed", "--users", "10", "--balance", "1000")

    async def predict() -> None:
        async with connected(api, user.token(core)) as client:
            await client.ask(JOIN)
            await client.ask(prediction(1))

    with peers.api(elsewhere) as api:
        asyncio.run(predict())
    guest.until("the ledger has written the prediction", lambda: elsewhere.rows() or None)
    assert elsewhere.rows() == 1


def test_an_event_that_is_told_to_its_feed_decides_a_pool(guest: Guest, elsewhere: peers.Peers) -> None:
    elsewhere.market("admin create-game", "final", "The final", "--status", "live")
    rule = {"event": "goal", "field": "team", "options": {"home": 0, "away": 1}}
    options = ("--option", "Home", "--option", "Away", "--decided-by", json.dumps(rule))
    elsewhere.market("admin open-pool", "final", "first", "Who scores first?", *options)
    feed = "--settings /etc/isochrone/feed.toml --feed /run/market/feed.sock"
    guest.run(f"/opt/isochrone/venv/bin/market replay {feed} --game final --speed inf", timeout_s=120)

    def decided() -> bool | None:
        pools = [json.loads(line) for line in elsewhere.market("admin show", "final").splitlines()]
        return next(pool["status"] for pool in pools if pool["id"] == "first") == "resolved" or None

    guest.until("the first goal has decided the pool", decided)


def test_it_lists_every_machine_of_the_stack_for_prometheus(guest: Guest) -> None:
    def listed() -> set[str] | None:
        groups = json.loads(machines.page("/targets"))
        found = {target for group in groups for target in group["targets"]}
        return found if len(found) > 1 else None

    assert guest.until("it lists them", listed) == {f"{ADDRESS}:9100", f"{ELSEWHERE}:9100"}


def test_the_systems_manager_agent_is_installed_once_its_signature_is_verified(guest: Guest) -> None:
    def runs() -> str | None:
        return guest.run(f"systemctl is-active {UNIT}").strip() or None

    assert guest.until("the agent runs", runs) == "active"
    assert guest.run("dpkg-query -W -f '${Status}' amazon-ssm-agent") == "install ok installed"


def test_no_secret_is_on_the_disk_that_it_leaves_behind(guest: Guest, core: cloud.Machine) -> None:
    assert remains.left_by(guest, core.values) == []
