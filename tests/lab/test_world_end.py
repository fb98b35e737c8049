"""An emulated world ends, however its parent does, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import namespaces, processes
from lab.errors import WorldError
from lab.world import World, destroy, status
from tests.lab.worlds import DISTANT, PAIR, SLEEP, eventually, is_running, remains

STUBBORN = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


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


def start_parent(lab: str, root: Path) -> subprocess.Popen[str]:
    """A process that makes a lab and starts processes in it."""
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, lab, str(root)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


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
