"""A node far from its data: told nothing, then too little, then all; and switched off with users on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from market.protocol import CloseCode
from tests.image import cloud, machines, peers, remains, user
from tests.image.guest import Guest
from tests.image.machines import Host

REGION = "ap-southeast-2"
OFF_S = 120.0
"""How long a machine that is terminated may take: AWS cuts it off after a few minutes."""


@pytest.fixture(scope="module")
def aws(own_network: None) -> Iterator[cloud.Cloud]:
    with cloud.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(aws: cloud.Cloud) -> cloud.Machine:
    return cloud.machine(aws, cloud.stack("geo-i"), "node", REGION)


@pytest.fixture(scope="module")
def elsewhere(node: cloud.Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Peers]:
    with peers.serving(node.stack, tmp_path_factory.mktemp("peers"), schema=True) as running:
        yield running


@pytest.fixture(scope="module")
def guest(node: cloud.Machine, elsewhere: peers.Peers, host: Host) -> Iterator[Guest]:
    del node.metadata.answers["user-data"]
    with host.booted(node, {**peers.FILES, **peers.authorities(node.stack)}) as running:
        yield running


def test_a_machine_that_is_told_nothing_stays_out_of_service_and_says_why(guest: Guest) -> None:
    machines.says(guest, "this machine stays out of service: this machine has no user data")
    guest.until("the probe answers", lambda: guest.run("echo"))
    assert machines.services(guest) == set()


def test_a_machine_without_a_secret_stays_out_of_service_and_names_it(
    guest: Guest, node: cloud.Machine, aws: cloud.Cloud
) -> None:
    keeper = aws.client("secretsmanager", REGION)
    name = node.settings.secrets.read["token-key"]
    keeper.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    node.metadata.answers["user-data"] = node.user_data
    machines.says(guest, f"secrets cannot be read in {REGION}: {name}")
    assert machines.services(guest) == set()
    assert aws.group.calls == []
    keeper.create_secret(Name=name, SecretString=node.values["token-key"])


def test_it_goes_into_service_when_nothing_is_missing_any_more(guest: Guest, aws: cloud.Cloud) -> None:
    machines.healthy(guest, aws)
    assert guest.settled() == "running"


def test_it_runs_what_a_node_without_data_needs_and_nothing_else(guest: Guest) -> None:
    wanted = {"nginx", "market-api@0", "market-api@1", "isochrone-certificate", *machines.COMPANIONS}
    assert machines.services(guest) == wanted
    assert peers.closed(machines.REDIS_PORT)
    assert peers.closed(machines.PROMETHEUS_PORT)


def test_a_user_predicts_at_the_master_at_home_and_gets_the_distribution(
    guest: Guest, node: cloud.Machine, elsewhere: peers.Peers
) -> None:
    assert asyncio.run(user.predict(node, "user-0", 1)) == 1
    assert elsewhere.predictions() == 1


def test_prometheus_is_answered_on_the_private_side(guest: Guest) -> None:
    assert machines.figure(guest, "isochrone_memory_total_bytes") > 0


def test_a_machine_that_is_switched_off_sends_its_users_away_and_loses_nothing(
    guest: Guest, node: cloud.Machine, elsewhere: peers.Peers
) -> None:
    before = elsewhere.predictions()

    async def stay() -> user.Stay:
        async with user.staying(node, "user-1") as stay:
            await stay.acknowledges(3)
            await asyncio.to_thread(guest.press_power_button, OFF_S)
            await stay.ended()
            return stay

    stay_of = asyncio.run(stay())
    assert stay_of.code == CloseCode.GOING_AWAY
    assert before + stay_of.acknowledged <= elsewhere.predictions() <= before + stay_of.sent


def test_no_secret_is_on_the_disk_that_it_leaves_behind(guest: Guest, node: cloud.Machine) -> None:
    assert not guest.running
    assert remains.on_disk(guest.overlay, remains.secrets(node.values)) == []
