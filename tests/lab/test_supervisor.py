"""What ends is started again, as systemd does on the image."""

from __future__ import annotations

import configparser
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.regions import matrix
from infra.stackfile import load
from lab.certificates import Certificates
from lab.credentials import Credentials
from lab.faults.injection import kill
from lab.namespaces import processes
from lab.site import Process, Site
from lab.supervisor import RESTART_S, Supervisor
from lab.topology import Machine, topology
from lab.world import World
from tests.lab.worlds import DISTANT, PAIR, eventually, lab_name

PROJECT = Path(__file__).parents[2]
MACHINE = Machine("left", "a", "198.18.1.1", "node")
WITH_A_CHILD = ["sh", "-c", "sleep 1000 & wait"]
UNITS = {
    "api": "market-api@",
    "ledger": "market-ledger",
    "resolver": "market-resolver",
    "feed": "market-feed",
    "redis": "redis-server",
    "mariadb": "mariadb",
    "nginx": "nginx",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with World.create(lab_name(), tmp_path, PAIR, DISTANT) as world:
        yield Site(
            world,
            topology(load("baseline", PROJECT), matrix("2017")),
            tmp_path,
            Credentials(tmp_path),
            Certificates(tmp_path, tmp_path, tmp_path),
            users=1,
            data_path="async",
        )


def inhabitants(site: Site) -> list[int]:
    return sorted(processes([site.world.namespace(MACHINE.name)]))


def test_a_process_that_ended_is_started_again_and_what_it_left_is_ended(site: Site) -> None:
    first = site.start(MACHINE, "nginx", WITH_A_CHILD)
    running = [first]
    eventually(lambda: len(inhabitants(site)) == 2)
    before = inhabitants(site)
    with Supervisor(site, running):
        os.kill(first.popen.pid, signal.SIGKILL)
        eventually(lambda: running[0] is not first)
        eventually(lambda: len(inhabitants(site)) == 2)
        assert (running[0].machine, running[0].name, running[0].argv) == (MACHINE, "nginx", first.argv)
        assert not set(before) & set(inhabitants(site))


def test_what_is_held_back_is_started_again_afterwards(site: Site) -> None:
    def started(name: str) -> Process:
        return site.start(MACHINE, name, WITH_A_CHILD)

    held, free = started("api-0"), started("api-1")
    running = [held, free]
    with Supervisor(site, running) as supervisor:
        with supervisor.held([held]):
            kill(held)
            kill(free)
            eventually(lambda: running[1] is not free)
            assert running[0] is held
        eventually(lambda: running[0] is not held)


def test_nothing_is_started_again_once_it_has_ended(site: Site) -> None:
    process = site.start(MACHINE, "api-0", WITH_A_CHILD)
    running = [process]
    with Supervisor(site, running):
        kill(process)
    assert running == [process]
    assert inhabitants(site) == []


@pytest.mark.parametrize(("process", "unit"), UNITS.items())
def test_it_takes_as_long_as_on_the_image(process: str, unit: str) -> None:
    path = PROJECT / "ami" / "rootfs" / "etc" / "systemd" / "system" / f"{unit}.service"
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.read_string(path.read_text(encoding="utf-8"))
    assert parsed["Service"]["Restart"] == "always"
    assert parsed["Service"]["RestartSec"] == f"{RESTART_S[process]:g}s"
