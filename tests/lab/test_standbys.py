"""A lab whose Redis has standbys: what is acknowledged stays, though the master is cut off from them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.regions import matrix
from infra.stackfile import load
from lab import client
from lab.lab import Lab
from lab.waiting import until
from tests.lab.worlds import lab_name

pytestmark = pytest.mark.timeout(180)

PROJECT = Path(__file__).parents[2]
REGIONS = ("eu-west-1", "us-east-1")
USERS = 8
JOIN = {"type": "join_game", "game": "match-1"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="isochrone-lab-"))
    root.chmod(0o755)
    stack = load("geo-ii", PROJECT)
    architecture = replace(
        stack,
        nodes=replace(stack.nodes, regions=REGIONS),
        redis=replace(stack.redis, standbys=2),
        sql=replace(stack.sql, placement="home", replica_class=None, replica_regions=(), read_fallback={}),
    )
    try:
        with Lab.up(architecture, matrix("2017"), name=lab_name(), root=root, users=USERS) as made:
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


class User(threading.Thread):
    """Places one prediction after the other; what fails is sent again with its key."""

    def __init__(self, lab: Lab, region: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._number, self._stopping = number, stop
        self._process = subprocess.Popen(
            lab.worker_argv(region, client.argv_inside(lab.state, number)),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.acknowledged: dict[str, str] = {}
        self.refused = 0

    def run(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._ask(JOIN)
        while not self._stopping.is_set():
            key = f"u{self._number}-{len(self.acknowledged)}"
            place = {"game": "match-1", "pool": "winner", "option": 1, "stake": 1, "key": key}
            while (placed := self._ask({"type": "place_prediction", **place}))["type"] != "placed":
                self.refused += 1
                self._stopping.wait(0.1)
            self.acknowledged[key] = placed["journal_id"]
        with self._process as process:
            assert process.stdin
            process.stdin.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request | {"id": 1}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            message: dict[str, Any] = json.loads(line.partition("  (")[0]) if line.startswith('{"') else {}
            if message.get("id") == 1:
                return message
        raise ConnectionError("the server closed the connection")


@contextmanager
def placing(lab: Lab) -> Iterator[list[User]]:
    stop = threading.Event()
    users = [User(lab, REGIONS[number % len(REGIONS)], number, stop) for number in range(USERS)]
    for user in users:
        user.start()
    try:
        yield users
    finally:
        stop.set()
        for user in users:
            user.join(60)


def more(users: list[User], count: int) -> None:
    """Until everybody has so many more acknowledged."""
    wanted = [len(user.acknowledged) + count for user in users]
    until(
        "acknowledgements",
        lambda: all(len(u.acknowledged) >= w for u, w in zip(users, wanted, strict=True)) or None,
        timeout_s=60,
    )


def route(lab: Lab, command: str) -> None:
    """Cut the first master's machine off from those of the standbys, or heal it; all others reach all."""
    for standby in ("redis-1", "redis-2"):
        argv = ["ip", "-n", lab.namespace("redis"), "route", command, "blackhole"]
        subprocess.run([*argv, lab.machines[standby].address], check=True)


def role(lab: Lab, machine: str) -> list[Any]:
    with lab.redis(machine) as server:
        reply: list[Any] = server.execute_command("ROLE")
        return reply


def test_a_master_that_is_cut_off_from_its_standbys_under_load_loses_nothing_that_was_acknowledged(
    lab: Lab,
) -> None:
    with placing(lab) as users:
        more(users, 5)
        route(lab, "add")
        more(users, 5)
    route(lab, "del")
    assert sum(user.refused for user in users) > 0
    acknowledged = {key: place for user in users for key, place in user.acknowledged.items()}
    (master,) = (name for name in ("redis-1", "redis-2") if role(lab, name)[0] == "master")
    with lab.redis(master) as server:
        entries = server.xrange("market:journal")
    there = {fields["key"]: place for place, fields in entries if "key" in fields}
    assert {key: there.get(key) for key in acknowledged} == acknowledged
    assert len(there) == len([fields for _, fields in entries if "key" in fields])
    lab.check()


def test_replicas_elsewhere_hang_from_standbys_and_never_from_the_master(lab: Lab) -> None:
    home = {lab.machines[name].address for name in ("redis", "redis-1", "redis-2")}
    (master,) = (name for name in ("redis-1", "redis-2") if role(lab, name)[0] == "master")
    for region in REGIONS:

        def hangs(node: str = f"node-{region}") -> bool | None:
            follows = role(lab, node)
            standby = follows[1] in home - {lab.machines[master].address}
            return (standby and follows[3] == "connected") or None

        until(f"the replica in {region}", hangs, timeout_s=30)
