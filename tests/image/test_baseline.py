"""The baseline's node, with everything on it: booted once, looked at from outside and inside."""

from __future__ import annotations

import asyncio
import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from market.protocol import CloseCode
from market.tokens import Signer
from tests.image import cloud, metadata, user
from tests.image.guest import Guest, kill, running
from tests.service.client import JOIN, prediction

ROOTFS = Path(__file__).parents[2] / "ami" / "rootfs"
NAME = "play.market.example"
SERVICES = ("nginx", "redis-server", "mariadb", "market-ledger", "market-api@0", "market-api@1")


@pytest.fixture(scope="module")
def node(own_network: None) -> Iterator[cloud.Machine]:
    with cloud.serving() as aws:
        machine = cloud.machine(aws, "baseline", "node", "eu-west-1")
        server = metadata.serve(machine.metadata)
        try:
            yield machine
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def guest(
    node: cloud.Machine, disk: Path, accel: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guest]:
    machine = Guest(
        tmp_path_factory.mktemp("baseline"),
        disk,
        {user.HTTPS_PORT: 443, 18080: 80},
        files={cloud.SDK_FILE: cloud.SDK_SETTINGS},
        memory_mib=4096,
        accelerator=accel,
    )
    with running(machine):
        machine.settled()
        yield machine


def token(node: cloud.Machine, who: str = "user-0") -> str:
    """A token that holds already by the guest's clock, which nothing sets here."""
    return Signer(node.values["token-key"]).issue(who, 7200, now_s=int(time.time()) - 300)


def seed(guest: Guest) -> None:
    guest.run(
        "/opt/isochrone/venv/bin/market seed --users 10 --balance 1000"
        " --settings /etc/isochrone/settings.toml"
    )


async def _predict(node: cloud.Machine, who: str, number: int) -> int:
    async with user.connected(NAME, token(node, who), node.authority) as client:
        await client.ask(JOIN)
        await client.ask(prediction(number))
        return (await client.distribution_of(number)).predictions


def test_the_system_runs_without_a_failed_unit(guest: Guest) -> None:
    assert guest.run("systemctl --failed --plain --no-legend") == ""
    assert guest.settled() == "running"


def test_a_user_connects_over_tls_predicts_and_gets_the_distribution(
    guest: Guest, node: cloud.Machine
) -> None:
    seed(guest)
    assert asyncio.run(_predict(node, "user-0", 1)) == 1


def settings() -> list[tuple[str, str]]:
    lines = (ROOTFS / "etc/sysctl.d/60-isochrone.conf").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return [(name.strip(), value.strip()) for name, value in pairs]


def test_every_kernel_setting_has_its_value_in_the_running_kernel(guest: Guest) -> None:
    names = [name for name, _ in settings()]
    running_values = guest.run(f"sysctl {' '.join(names)}").splitlines()
    found = {
        name.strip(): " ".join(value.split())
        for name, value in (line.split("=", 1) for line in running_values)
    }
    assert found == {name: " ".join(value.split()) for name, value in settings()}


def test_the_system_keeps_more_descriptors_than_the_thesis_asked_for(guest: Guest) -> None:
    assert int(guest.run("cat /proc/sys/fs/file-max")) >= 1_655_360


@pytest.mark.parametrize(
    ("unit", "least"), [("nginx", 2 * 20_000), ("market-api@0", 20_000), ("redis-server", 10_000)]
)
def test_descriptors_suffice_for_20000_users(guest: Guest, unit: str, least: int) -> None:
    limits = guest.run(f"cat /proc/$(systemctl show --value --property MainPID {unit})/limits")
    match = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
    assert match is not None
    assert int(match[2]) >= least


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_that_is_killed_comes_back(guest: Guest, unit: str) -> None:
    before = guest.run(f"systemctl show --value --property MainPID {unit}").strip()
    kill(guest, unit)

    def back() -> bool | None:
        state, pid = guest.run(
            f"systemctl show --value --property ActiveState --property MainPID {unit} | sort"
        ).split()[::-1]
        return True if state == "active" and pid not in ("0", before) else None

    guest.until(f"{unit} is back", back, 60)


def test_secrets_are_in_memory_and_only_the_service_reads_them(guest: Guest, node: cloud.Machine) -> None:
    assert guest.run("findmnt -no FSTYPE /etc/isochrone/secrets").strip() == "tmpfs"
    listed = guest.run("stat -c '%a %G %n' /etc/isochrone/secrets/*").splitlines()
    assert listed
    assert all(line.startswith("640 market ") for line in listed)
    for value in node.values.values():
        secret = max(value.splitlines(), key=len)
        found = guest.run(f"grep -rlF --exclude-dir=secrets -e '{secret}' /etc /var /opt /root || true")
        assert found == ""


def test_nobody_logs_in_by_a_password_and_nothing_listens_for_it(guest: Guest) -> None:
    assert guest.run("cut -d: -f2 /etc/shadow | grep -vE '^[!*]' || true") == ""
    ports = {line.rsplit(":", 1)[-1] for line in guest.run("ss -Hltn | awk '{print $4}'").split()}
    assert "22" not in ports


def test_the_root_file_system_has_grown_to_the_volume(guest: Guest) -> None:
    size_mib = int(guest.run("df --output=size -BM / | tail -1").strip().rstrip("M"))
    assert size_mib > 0.9 * guest.size_gib * 1024


def test_plain_http_is_sent_to_https(guest: Guest) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 18080, timeout=20)
    connection.request("GET", "/x", headers={"Host": NAME})
    response = connection.getresponse()
    connection.close()
    assert (response.status, response.getheader("Location")) == (301, f"https://{NAME}/x")


def test_a_reboot_brings_everything_back_with_its_data(guest: Guest, node: cloud.Machine) -> None:
    before = guest.run("cat /proc/sys/kernel/random/boot_id")
    keep = "mariadb -N -e 'select count(*) from market.predictions'"
    guest.until("the ledger has written the prediction", lambda: guest.run(keep).strip() == "1" or None, 30)
    node.metadata.asked.clear()
    guest.run("systemd-run --on-active=1 systemctl reboot")

    def again() -> bool | None:
        return True if guest.run("cat /proc/sys/kernel/random/boot_id", timeout_s=5) != before else None

    guest.until("the machine is back", again)
    assert guest.settled() == "running"
    assert "meta-data/instance-id" in node.metadata.asked
    assert guest.run(keep).strip() == "1"
    assert asyncio.run(_predict(node, "user-1", 2)) == 2


def test_a_machine_that_is_told_to_go_sends_its_users_away(guest: Guest, node: cloud.Machine) -> None:
    async def stay() -> int | None:
        async with user.connected(NAME, token(node), node.authority) as client:
            await client.ask(JOIN)
            await asyncio.to_thread(guest.run, "systemctl stop --no-block 'market-api@*.service'")
            return await client.closed()

    assert asyncio.run(stay()) == CloseCode.GOING_AWAY
