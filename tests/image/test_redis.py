"""The machine with the live state: its data is on a volume of its own, attached after it has started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.image import cloud, machines, peers, remains, user
from tests.image.guest import Guest, kill
from tests.image.machines import Host

DEVICE = "/dev/vdb"
"""What this machine's kernel calls an attached volume; AWS's is /dev/xvdf, or NVMe's."""


@pytest.fixture(scope="module")
def machine(own_network: None) -> Iterator[cloud.Machine]:
    with cloud.serving() as aws:
        stack = cloud.stack("geo-i")
        yield cloud.machine(aws, stack, "redis", stack.site.home, data_device=DEVICE)


@pytest.fixture(scope="module")
def guest(machine: cloud.Machine, host: Host) -> Iterator[Guest]:
    with host.booted(machine) as running:
        yield running


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volume") / "data.raw"
    with path.open("wb") as stream:
        stream.truncate(256 << 20)
    return path


def client(machine: cloud.Machine, password: str | None = None) -> Any:
    return redis.Redis(
        port=machines.REDIS_PORT,
        password=password or machine.values["redis-password"],
        protocol=2,
        socket_timeout=20,
    )


def test_it_serves_nothing_before_its_volume_is_attached(guest: Guest) -> None:
    guest.until("it asks for its volume", lambda: guest.run("pgrep -f 'ami.node boo[t]'"))
    guest.until("its role is known", lambda: guest.run("test -e /run/isochrone/document.json; echo"))
    assert "redis-server" not in machines.services(guest)


def test_it_serves_from_the_volume_once_it_is_attached(guest: Guest, volume: Path) -> None:
    guest.attach(volume)
    machines.can_serve(guest)
    assert guest.settled() == "running"
    assert guest.run("findmnt -no SOURCE,LABEL /var/lib/isochrone/redis").split() == [
        DEVICE,
        "isochrone-data",
    ]


def test_it_runs_redis_and_nothing_else_of_any_role(guest: Guest) -> None:
    assert machines.services(guest) == {"redis-server", *machines.COMPANIONS}
    for port in (user.HTTPS_PORT, machines.HTTP_PORT, machines.PROMETHEUS_PORT):
        assert peers.closed(port)


def test_it_answers_from_outside_who_has_the_password_and_nobody_else(
    guest: Guest, machine: cloud.Machine
) -> None:
    with closing(client(machine)) as mine:
        assert mine.set("kept", "1")
        assert mine.info("replication")["role"] == "master"
    with closing(client(machine, "another")) as other, pytest.raises(redis.AuthenticationError):
        other.ping()


def test_its_figures_are_answered_on_the_private_side(guest: Guest) -> None:
    assert machines.figure(guest, "isochrone_redis_master") == 1


def test_a_redis_that_is_killed_comes_back_with_its_data(guest: Guest, machine: cloud.Machine) -> None:
    kill(guest, "redis-server")

    def kept() -> bool | None:
        with closing(client(machine)) as mine:
            try:
                return mine.get("kept") == b"1" or None
            except redis.RedisError:
                return None

    guest.until("redis is back", kept)


def test_its_data_is_on_the_volume_and_no_secret_on_either_disk(
    guest: Guest, machine: cloud.Machine, volume: Path
) -> None:
    guest.press_power_button(120)
    listed = subprocess.run(
        ["debugfs", "-R", "ls -l /appendonlydir", str(volume)], check=True, capture_output=True, text=True
    )
    assert ".aof" in listed.stdout
    for disk in (volume, guest.overlay):
        assert remains.on_disk(disk, remains.secrets(machine.values)) == []
