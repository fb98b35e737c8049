"""The baseline's node, with everything on it: booted once, looked at from outside and inside."""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ami.node import paths
from market.protocol import CloseCode
from tests.image import cloud, machines, remains, user
from tests.image.guest import Guest, kill
from tests.image.machines import Host

ROOTFS = Path(__file__).parents[2] / "ami" / "rootfs"
OFF_S = 120.0
IN_MEMORY = (paths.SECRETS, paths.REDIS, paths.MARIADB_ACCOUNTS, paths.TLS, paths.DOCUMENT)
SERVICES = ("nginx", "redis-server", "mariadb", "market-ledger", "market-api@0", "market-api@1")


@pytest.fixture(scope="module")
def aws(own_network: None) -> Iterator[cloud.Cloud]:
    with cloud.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(aws: cloud.Cloud) -> cloud.Machine:
    # Its 16 are for 32 cores; an emulated guest has one.
    stack = cloud.stack("baseline", api_processes=4)
    return cloud.machine(aws, stack, "node", stack.site.home)


@pytest.fixture(scope="module")
def guest(node: cloud.Machine, host: Host) -> Iterator[Guest]:
    with host.booted(node, memory_mib=4096, niceness=0) as running:
        running.settled()
        machines.in_service(running, node)
        yield running


def seed(guest: Guest) -> None:
    guest.run(
        "/opt/isochrone/venv/bin/market seed --users 10 --balance 1000"
        " --settings /etc/isochrone/settings.toml"
    )


def test_the_system_runs_without_a_failed_unit(guest: Guest) -> None:
    assert guest.run("systemctl --failed --plain --no-legend") == ""
    assert guest.settled() == "running"


def test_a_user_connects_over_tls_predicts_and_gets_the_distribution(
    guest: Guest, node: cloud.Machine
) -> None:
    seed(guest)
    assert asyncio.run(user.predict(node, "user-0", 1)) == 1


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

    guest.until(f"{unit} is back", back)


def test_everything_that_holds_a_secret_is_in_memory(guest: Guest) -> None:
    for path in IN_MEMORY:
        assert guest.run(f"findmnt -no FSTYPE --target {path}").strip() == "tmpfs"
    assert guest.run("swapon --noheadings") == ""


def test_only_the_service_reads_the_secrets(guest: Guest) -> None:
    listed = guest.run("stat -c '%a %G %n' /etc/isochrone/secrets/*").splitlines()
    assert listed
    assert all(line.startswith("640 market ") for line in listed)


def test_no_secret_is_in_the_logs(guest: Guest, node: cloud.Machine) -> None:
    for key, value in remains.secrets(node.values).items():
        assert guest.run(f"journalctl -o cat | grep -cF -e '{value.decode()}' || true").strip() == "0", key


def test_nobody_logs_in_by_a_password_and_nothing_listens_for_it(guest: Guest) -> None:
    assert guest.run("cut -d: -f2 /etc/shadow | grep -vE '^[!*]' || true") == ""
    ports = {line.rsplit(":", 1)[-1] for line in guest.run("ss -Hltn | awk '{print $4}'").split()}
    assert "22" not in ports


def test_the_root_file_system_has_grown_to_the_volume(guest: Guest) -> None:
    size_mib = int(guest.run("df --output=size -BM / | tail -1").strip().rstrip("M"))
    assert size_mib > 0.9 * guest.size_gib * 1024


def test_plain_http_is_sent_to_https(guest: Guest, node: cloud.Machine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", machines.HTTP_PORT, timeout=20)
    connection.request("GET", "/x", headers={"Host": node.name})
    response = connection.getresponse()
    connection.close()
    assert (response.status, response.getheader("Location")) == (301, f"https://{node.name}/x")


def test_a_reboot_brings_everything_back_with_its_data(guest: Guest, node: cloud.Machine) -> None:
    before = guest.run("cat /proc/sys/kernel/random/boot_id")
    keep = "mariadb -N -e 'select count(*) from market.predictions'"
    guest.until("the ledger has written the prediction", lambda: guest.run(keep).strip() == "1" or None)
    node.metadata.asked.clear()
    guest.run("systemd-run --on-active=1 systemctl reboot")

    def again() -> bool | None:
        return True if guest.run("cat /proc/sys/kernel/random/boot_id", timeout_s=20) != before else None

    guest.until("the machine is back", again)
    assert guest.settled() == "running"
    assert "meta-data/instance-id" in node.metadata.asked
    machines.in_service(guest, node)
    assert guest.run(keep).strip() == "1"
    assert asyncio.run(user.predict(node, "user-1", 2)) == 2


def test_the_logs_of_both_boots_are_on_cloudwatch_each_line_once(
    guest: Guest, aws: cloud.Cloud, node: cloud.Machine
) -> None:
    def both() -> list[machines.Logged] | None:
        events = machines.logged(aws, node)
        boots = [event for event in events if "Linux version" in event.text]
        return events if len(boots) > 1 else None

    events = guest.until("the second boot's lines", both)
    machines.all_is_logged(guest, events)
    writers = {event.text.partition("[")[0] for event in events}
    assert writers >= {"market-api@0", "market-ledger", "mariadb", "redis-server", "isochrone-boot"}
    for key, value in remains.secrets(node.values).items():
        assert not [event for event in events if value.decode() in event.text], key


def test_a_machine_that_is_switched_off_sends_its_users_away(guest: Guest, node: cloud.Machine) -> None:
    async def stay() -> user.Stay:
        async with user.staying(node, "user-2") as stay:
            await stay.acknowledges(1)
            await asyncio.to_thread(guest.press_power_button, OFF_S)
            await stay.ended()
            return stay

    assert asyncio.run(stay()).code == CloseCode.GOING_AWAY


def test_no_secret_is_on_the_disk_that_it_leaves_behind(guest: Guest, node: cloud.Machine) -> None:
    assert not guest.running
    assert remains.on_disk(guest.overlay, remains.secrets(node.values)) == []
