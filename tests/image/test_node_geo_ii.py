"""A node with a Redis replica of its own: it reads there, writes at home, and goes as its group says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ami.node.drain import LEAVE_DNS_S
from ami.node.probes import serves
from infra.machine_group import DRAIN_S
from market.protocol import CloseCode
from tests.image import cloud, machines, peers, remains, user
from tests.image.guest import Guest
from tests.image.machines import Host

REGION = "us-east-1"


@pytest.fixture(scope="module")
def aws(own_network: None) -> Iterator[cloud.Cloud]:
    with cloud.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(aws: cloud.Cloud) -> cloud.Machine:
    return cloud.machine(aws, cloud.stack("geo-ii"), "node", REGION)


@pytest.fixture(scope="module")
def elsewhere(node: cloud.Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Peers]:
    with peers.serving(node.stack, tmp_path_factory.mktemp("peers"), schema=True) as running:
        yield running


@pytest.fixture(scope="module")
def guest(node: cloud.Machine, elsewhere: peers.Peers, host: Host) -> Iterator[Guest]:
    with host.booted(node, {**peers.FILES, **peers.authorities(node.stack)}) as running:
        yield running


def health(node: cloud.Machine) -> str | None:
    """What is wrong by Route53's health check of the machine, None when nothing is."""
    return serves(node.settings.names.regional, user.HTTPS_PORT)


def test_it_boots_and_reports_healthy(guest: Guest, aws: cloud.Cloud) -> None:
    assert guest.settled() == "running"
    machines.healthy(guest, aws)


def test_its_group_is_told_that_it_has_launched_before_anything_else(
    node: cloud.Machine, aws: cloud.Cloud
) -> None:
    group = node.settings.group
    assert group is not None
    assert aws.group.completed(group.launch_hook) == [(group.name, node.instance_id, "CONTINUE")]
    assert [call["Action"] for call in aws.group.calls] == ["CompleteLifecycleAction", "SetInstanceHealth"]


def test_it_runs_what_a_node_with_a_replica_needs_and_nothing_else(guest: Guest) -> None:
    wanted = {"nginx", "redis-server", "market-api@0", "market-api@1", "isochrone-certificate"}
    assert machines.services(guest) == wanted | machines.COMPANIONS
    assert peers.closed(machines.REDIS_PORT)
    assert peers.closed(machines.PROMETHEUS_PORT)


def test_its_redis_is_a_replica_of_the_master_at_home(guest: Guest, elsewhere: peers.Peers) -> None:
    ask = "redis-cli --no-auth-warning -a $(cat /etc/isochrone/secrets/redis-password) info replication"
    told = dict(line.split(":", 1) for line in guest.run(ask).split() if ":" in line)
    assert told["role"] == "slave"
    assert told["master_link_status"] == "up"
    assert told["master_host"] == elsewhere.redis_host


def test_a_user_predicts_at_the_master_and_gets_the_distribution(
    guest: Guest, node: cloud.Machine, elsewhere: peers.Peers
) -> None:
    assert asyncio.run(user.predict(node, "user-0", 1)) == 1
    assert elsewhere.predictions() == 1


def test_its_figures_have_the_replica_and_its_connections(guest: Guest) -> None:
    assert machines.figure(guest, "isochrone_redis_replica_link_up") == 1


def test_a_node_that_its_group_ends_leaves_dns_keeps_serving_and_then_sends_its_users_away(
    guest: Guest, node: cloud.Machine, elsewhere: peers.Peers, aws: cloud.Cloud
) -> None:
    before = elsewhere.predictions()
    hook = node.settings.group.drain_hook if node.settings.group else None
    assert health(node) is None

    async def stay() -> user.Stay:
        async with user.staying(node, "user-1") as stay:
            await stay.acknowledges(1)
            node.metadata.answers["meta-data/autoscaling/target-lifecycle-state"] = "Terminated"
            await asyncio.to_thread(guest.until, "it leaves DNS", lambda: health(node))
            assert health(node) == "/healthz: 503 draining"
            assert aws.group.completed(hook) == []
            await stay.acknowledges(1)
            await stay.ended(DRAIN_S)
            return stay

    stayed = asyncio.run(stay())
    assert stayed.code == CloseCode.GOING_AWAY
    assert before + stayed.acknowledged <= elsewhere.predictions() <= before + stayed.sent


def test_its_group_is_told_once_that_it_has_drained(
    guest: Guest, node: cloud.Machine, aws: cloud.Cloud
) -> None:
    group = node.settings.group
    assert group is not None
    guest.until("the hook is completed", lambda: aws.group.completed(group.drain_hook) or None, DRAIN_S)
    assert aws.group.completed(group.drain_hook) == [(group.name, node.instance_id, "CONTINUE")]
    assert aws.group.health() == ["Healthy"]
    seconds = "journalctl -u isochrone-drain -o short-unix | grep -E 'this machine (drains|has drained)'"
    began, ended = (float(line.split()[0]) for line in guest.run(seconds).splitlines())
    assert LEAVE_DNS_S <= ended - began < DRAIN_S


def test_no_secret_is_on_the_disk_that_it_leaves_behind(guest: Guest, node: cloud.Machine) -> None:
    assert remains.left_by(guest, node.values) == []
