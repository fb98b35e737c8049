from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from lab import namespaces, processes
from lab.errors import LabError, LabInUseError, UnknownNameError, WorldError
from lab.world import Host, World, destroy, list_labs, status
from tests.lab.worlds import DISTANT, PAIR, eventually, lab_name, remains

SLEEP = ["sleep", "1000"]
STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
DAEMON = ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 0"]
REPOSITORY = Path(__file__).parents[2]

PARENT = """
import signal, sys, time
from pathlib import Path
from lab.world import World
from tests.lab.worlds import DISTANT, PAIR

world = World.create(sys.argv[1], Path(sys.argv[2]), PAIR, DISTANT)
child = world.spawn("left", "sleeper", ["sleep", "1000"])
world.spawn("right", "stubborn", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
world.spawn("right", "daemon", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 0"]).wait()
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
try:
    print(child.pid, flush=True)
    time.sleep(1000)
except KeyboardInterrupt:
    time.sleep(0.2)
    print("running" if child.poll() is None else "gone", flush=True)
    world.close(grace_s=1)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A name for a lab, of which nothing is left afterwards whatever the test does."""
    name = lab_name()
    yield name
    destroy(name, tmp_path, grace_s=0)


def start_parent(lab: str, root: Path) -> subprocess.Popen[str]:
    """A process that makes a lab and starts processes in it."""
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, lab, str(root)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def output(world: World, host: str, argv: Sequence[str], user: str | None = None) -> str:
    """What the command prints on that host."""
    done = subprocess.run(world.argv(host, argv, user=user), capture_output=True, text=True, check=True)
    return done.stdout


def is_running(pid: int) -> bool:
    """Whether the process lives; one that ended and waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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


class TestEnd:
    def test_close_leaves_nothing_and_may_be_called_again(self, lab: str, tmp_path: Path) -> None:
        world = World.create(lab, tmp_path, PAIR, DISTANT)
        child = world.spawn("left", "sleeper", SLEEP)
        world.close()
        world.close()
        assert remains(lab, tmp_path) == []
        assert child.returncode == -signal.SIGTERM

    def test_close_can_keep_the_logs(self, lab: str, tmp_path: Path) -> None:
        world = World.create(lab, tmp_path, PAIR, DISTANT)
        world.spawn("left", "writer", ["echo", "kept"]).wait(10)
        world.close(keep_state=True)
        assert remains(lab, tmp_path) == [str(tmp_path / lab)]
        assert world.log("left", "writer").read_text() == "kept\n"

    def test_what_ignores_the_request_is_killed_after_the_grace(self, lab: str, tmp_path: Path) -> None:
        world = World.create(lab, tmp_path, PAIR, DISTANT)
        child = world.spawn("left", "stubborn", STUBBORN)
        eventually(lambda: processes.command(child.pid) == "sh")
        began = time.monotonic()
        world.close(grace_s=0.5)
        assert 0.5 <= time.monotonic() - began < 10
        assert child.returncode == -signal.SIGKILL
        assert remains(lab, tmp_path) == []

    def test_a_stopped_process_ends_too(self, lab: str, tmp_path: Path) -> None:
        world = World.create(lab, tmp_path, PAIR, DISTANT)
        child = world.spawn("left", "sleeper", SLEEP)
        eventually(lambda: processes.command(child.pid) == "sleep")
        child.send_signal(signal.SIGSTOP)
        world.close(grace_s=0.3)
        assert child.returncode is not None

    def test_processes_say_goodbye_while_the_network_is_still_there(self, lab: str, tmp_path: Path) -> None:
        code = (
            "import signal, socket, sys\n"
            "link = socket.create_connection(('198.18.2.1', 7000))\n"
            "def end(*_):\n"
            "    link.sendall(b'bye')\n"
            "    print(link.recv(10).decode(), flush=True)\n"
            "    sys.exit()\n"
            "signal.signal(signal.SIGTERM, end)\n"
            "print('connected', flush=True)\n"
            "signal.pause()\n"
        )
        server = (
            "import signal, socket\n"
            "signal.signal(signal.SIGTERM, lambda *_: None)\n"
            "listener = socket.create_server(('198.18.2.1', 7000))\n"
            "print('up', flush=True)\n"
            "peer, _ = listener.accept()\n"
            "peer.sendall(peer.recv(10).upper())\n"
        )
        kept = tmp_path / "client.log"
        world = World.create(lab, tmp_path, PAIR, DISTANT)
        up = world.spawn("right", "server", [sys.executable, "-c", server], stdout=subprocess.PIPE)
        assert up.stdout is not None
        assert up.stdout.readline() == b"up\n"
        world.spawn("left", "client", [sys.executable, "-c", code], log=kept)
        eventually(lambda: kept.read_text() == "connected\n")
        world.close()
        assert kept.read_text() == "connected\nBYE\n"

    def test_destroying_what_does_not_exist_is_fine(self, lab: str, tmp_path: Path) -> None:
        destroy(lab, tmp_path)

    @pytest.mark.parametrize("wan_first", [False, True])
    def test_nothing_is_left_after_the_parent_was_killed(
        self, lab: str, tmp_path: Path, wan_first: bool
    ) -> None:
        with start_parent(lab, tmp_path) as parent:
            assert parent.stdout is not None
            sleeper = int(parent.stdout.readline())
            parent.kill()
        # What the shell started in the background bears the shell's name until it has executed "sleep".
        eventually(lambda: "sleep" in {p.process for p in status(lab, tmp_path).processes})
        pids = {p.process: p.pid for p in status(lab, tmp_path).processes}
        assert pids.keys() >= {"wan", "dns", "sleeper", "stubborn", "sleep"}
        assert is_running(sleeper)
        if wan_first:
            os.kill(pids["wan"], signal.SIGKILL)
        destroy(lab, tmp_path, grace_s=0.5)
        assert remains(lab, tmp_path) == []
        eventually(lambda: not any(is_running(pid) for pid in pids.values()))

    def test_the_next_start_clears_what_a_killed_parent_left(self, lab: str, tmp_path: Path) -> None:
        with start_parent(lab, tmp_path) as parent:
            assert parent.stdout is not None
            sleeper = int(parent.stdout.readline())
            parent.kill()
        with World.create(lab, tmp_path, PAIR, DISTANT):
            assert {p.process for p in status(lab, tmp_path).processes} == {"wan", "dns"}
            eventually(lambda: not is_running(sleeper))

    @pytest.mark.parametrize("after_s", [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6])
    def test_nothing_is_left_when_the_parent_was_killed_while_it_built(
        self, lab: str, tmp_path: Path, after_s: float
    ) -> None:
        with start_parent(lab, tmp_path) as parent:
            time.sleep(after_s)
            parent.kill()
        destroy(lab, tmp_path, grace_s=0.2)
        assert remains(lab, tmp_path) == []

    @pytest.mark.parametrize("step", ["_make_hosts", "_start_wan", "_start_dns"])
    def test_nothing_is_left_when_it_is_interrupted_while_it_builds(
        self, lab: str, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = getattr(World, step)

        def interrupted(*arguments: object) -> None:
            real(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(World, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            World.create(lab, tmp_path, PAIR, DISTANT)
        assert remains(lab, tmp_path) == []

    def test_a_process_that_does_not_start_is_reported_with_its_words(
        self, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(World, "_make_hosts", lambda self: namespaces.add([self.namespace("wan")]))
        with pytest.raises(WorldError, match=f"there is no namespace {lab}.left"):
            World.create(lab, tmp_path, PAIR, DISTANT)
        assert remains(lab, tmp_path) == []

    def test_an_interrupt_reaches_the_parent_only(self, lab: str, tmp_path: Path) -> None:
        with start_parent(lab, tmp_path) as parent:
            assert parent.stdout is not None
            parent.stdout.readline()
            os.killpg(parent.pid, signal.SIGINT)
            assert parent.stdout.readline() == "running\n"
        assert parent.returncode == 0
        assert remains(lab, tmp_path) == []


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
