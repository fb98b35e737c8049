"""An emulated world: its hosts, what runs on them, and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import namespaces, processes
from lab.errors import LabError, LabInUseError, UnknownNameError, WorldError
from lab.world import Host, World, destroy, list_labs, status
from tests.lab.worlds import DISTANT, PAIR, SLEEP, eventually, is_running, remains

DAEMON = ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 0"]


def output(world: World, host: str, argv: Sequence[str], user: str | None = None) -> str:
    """What the command prints on that host."""
    done = subprocess.run(world.argv(host, argv, user=user), capture_output=True, text=True, check=True)
    return done.stdout


class TestHosts:
    def test_each_has_its_own_address_ports_and_counters(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            for host in PAIR:
                seen = output(world, host.name, ["ip", "-brief", "-4", "address"])
                assert f"{host.address}/15" in seen
                assert "127.0.0.1/8" in seen
                assert "mtu 1500" in output(world, host.name, ["ip", "link", "show", "wan"])

    def test_have_the_kernel_settings_of_the_image_and_the_machine_keeps_its_own(
        self, lab: str, tmp_path: Path
    ) -> None:
        key = Path("/proc/sys/net/core/somaxconn")
        before = key.read_text()
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            for setting, value in namespaces.SETTINGS.items():
                seen = output(world, "left", ["cat", f"/proc/sys/net/{setting}"])
                assert seen.split() == value.split(), setting
            assert key.read_text() == before

    def test_use_cubic_whatever_the_machine_uses(self, lab: str, tmp_path: Path) -> None:
        available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text()
        if "cubic" not in available:
            pytest.skip("this kernel has no cubic")
        server = (
            "import socket\n"
            "listener = socket.create_server(('198.18.1.1', 7000))\n"
            "print('up', flush=True)\n"
            "listener.accept()[0].recv(1)\n"
        )
        client = (
            "import socket\n"
            "link = socket.create_connection(('198.18.1.1', 7000))\n"
            "name = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)\n"
            "print(name.rstrip(bytes(1)).decode())\n"
        )
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            up = world.spawn("left", "server", [sys.executable, "-c", server], stdout=subprocess.PIPE)
            assert up.stdout is not None
            assert up.stdout.readline() == b"up\n"
            assert output(world, "right", [sys.executable, "-c", client]).strip() == "cubic"

    def test_reach_one_another_but_not_the_world_outside(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            routes = output(world, "left", ["ip", "route"])
        assert [line.split()[0] for line in routes.splitlines()] == ["198.18.0.0/15"]


class TestSpawn:
    def test_runs_in_the_hosts_namespace_in_a_session_of_its_own(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            child = world.spawn("left", "sleeper", SLEEP)
            eventually(lambda: processes.command(child.pid) == "sleep")
            assert os.getsid(child.pid) == child.pid
            assert namespaces.processes([world.namespace("left")]) == {child.pid: world.namespace("left")}
        assert child.returncode == -signal.SIGTERM

    def test_may_open_as_many_files_as_the_machine_allows(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            soft, hard = (output(world, "left", ["sh", "-c", f"ulimit -{kind}n"]) for kind in "SH")
        assert soft == hard

    def test_writes_to_its_log_or_to_a_pipe_and_reads_from_one(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            world.spawn("left", "writer", ["sh", "-c", "echo out; echo err >&2"]).wait(10)
            assert world.log("left", "writer").read_text() == "out\nerr\n"
            own = tmp_path / "somewhere" / "own.log"
            child = world.spawn(
                "left", "cat", ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, log=own
            )
            assert child.communicate(b"through", timeout=10)[0] == b"through"

    def test_takes_environment_directory_and_account(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            argv = ["sh", "-c", "echo $WHAT $(pwd) $(id -un) $(id -gn)"]
            env = {"WHAT": "this", "PATH": os.environ["PATH"]}
            world.spawn("left", "who", argv, env=env, cwd=Path("/usr"), user="daemon").wait(10)
            assert world.log("left", "who").read_text() == "this /usr daemon daemon\n"

    def test_its_command_can_be_started_by_others(self, lab: str, tmp_path: Path) -> None:
        async def run(argv: Sequence[str]) -> bytes:
            child = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
            return (await child.communicate())[0]

        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            said = asyncio.run(run(world.argv("right", ["ip", "-brief", "-4", "address", "show", "wan"])))
        assert b"198.18.2.1/15" in said

    def test_names_the_hosts_there_are_when_there_is_none_of_that_name(
        self, lab: str, tmp_path: Path
    ) -> None:
        with (
            World.create(lab, tmp_path, PAIR, DISTANT) as world,
            pytest.raises(UnknownNameError, match="left, right"),
        ):
            world.spawn("middle", "sleeper", SLEEP)


class TestStatus:
    def test_lists_what_runs_by_the_name_it_was_started_as(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            sleeper = world.spawn("left", "sleeper", SLEEP)
            world.spawn("left", "short", ["true"]).wait(10)
            eventually(lambda: len(status(lab, tmp_path).processes) == 3)
            seen = status(lab, tmp_path)
            assert seen.hosts == PAIR
            assert {(p.host, p.process) for p in seen.processes} == {
                ("left", "sleeper"),
                ("wan", "wan"),
                ("wan", "dns"),
            }
            assert sleeper.pid in {p.pid for p in seen.processes}
            assert seen.wan is not None
            assert list_labs(tmp_path) == [lab]

    def test_is_empty_when_there_is_no_such_lab(self, lab: str, tmp_path: Path) -> None:
        seen = status(lab, tmp_path)
        assert (seen.hosts, seen.processes, seen.wan) == ((), (), None)
        assert list_labs(tmp_path) == []


class TestCheck:
    @pytest.mark.parametrize("process", ["wan", "dns"])
    def test_tells_when_a_part_of_the_world_has_ended(self, process: str, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            world.check()
            (pid,) = (p.pid for p in status(lab, tmp_path).processes if p.process == process)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not is_running(pid))
            with pytest.raises(WorldError, match=f"{process} of the lab {lab} ended with status -9"):
                world.wan_stats()


class TestNeighbours:
    def test_two_labs_run_at_once_and_one_ends_without_the_other(self, lab: str, tmp_path: Path) -> None:
        other = f"{lab}-b"
        with World.create(other, tmp_path, PAIR, DISTANT) as second:
            with World.create(lab, tmp_path, PAIR, DISTANT) as first:
                first.spawn("left", "sleeper", SLEEP)
                survivor = second.spawn("left", "sleeper", SLEEP)
                assert list_labs(tmp_path) == sorted([lab, other])
            assert remains(lab, tmp_path) == []
            assert survivor.poll() is None
            ping = [sys.executable, "-c", "import socket; socket.create_server(('198.18.1.1', 1))"]
            output(second, "left", ping)
            assert len(status(other, tmp_path).processes) == 3

    def test_a_lab_that_is_held_is_not_taken_over(self, lab: str, tmp_path: Path) -> None:
        with World.create(lab, tmp_path, PAIR, DISTANT) as world:
            child = world.spawn("left", "sleeper", SLEEP)
            with pytest.raises(LabInUseError, match=lab):
                World.create(lab, tmp_path, PAIR, DISTANT)
            assert child.poll() is None
        World.create(lab, tmp_path, PAIR, DISTANT).close()


class TestMistakes:
    @pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "..", "1a", "a.b", "x" * 41])
    def test_a_name_that_cannot_be_a_labs(self, name: str, tmp_path: Path) -> None:
        for attempt in (
            lambda: World.create(name, tmp_path, PAIR, DISTANT),
            lambda: destroy(name, tmp_path),
            lambda: status(name, tmp_path),
        ):
            with pytest.raises(UnknownNameError, match="cannot be a lab's name"):
                attempt()

    @pytest.mark.parametrize(
        ("hosts", "message"),
        [
            ([Host("wan", "a", "198.18.0.1")], "cannot be a host's name"),
            ([Host("a.b", "a", "198.18.0.1")], "cannot be a host's name"),
            ([Host("x", "a", "10.0.0.1")], "within 198.18.0.0/15"),
            ([Host("x", "a", "nonsense")], "within 198.18.0.0/15"),
            ([Host("x", "a", "198.18.0.1"), Host("x", "a", "198.18.0.2")], "have the name x"),
            ([Host("x", "a", "198.18.0.1"), Host("y", "a", "198.18.0.1")], "have the address 198.18.0.1"),
            ([Host("x", "a", "198.18.0.1"), Host("y", "c", "198.18.0.2")], "no round trip for a to c"),
        ],
    )
    def test_hosts_that_cannot_be(self, hosts: list[Host], message: str, lab: str, tmp_path: Path) -> None:
        with pytest.raises(LabError, match=message):
            World.create(lab, tmp_path, hosts, DISTANT)
        assert remains(lab, tmp_path) == []

    @pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"loss": -0.1}, {"jitter_ms": -1.0}])
    def test_impairments_that_cannot_be(self, wrong: dict[str, float], lab: str, tmp_path: Path) -> None:
        with pytest.raises(WorldError, match="cannot be negative"):
            World.create(lab, tmp_path, PAIR, DISTANT, **wrong)  # type: ignore[arg-type]
