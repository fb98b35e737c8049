"""Labs by their commands, and those that do not come up: nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isochrone import app
from lab import commands, world
from lab.errors import LabError, LabInUseError, MachineError
from lab.states import destroy
from lab.waiting import until
from lab.world import World
from tests.lab.labs import FEW, PROJECT, assert_nothing_is_left, bring_up, new_name
from tests.lab.worlds import DISTANT, PAIR, SLEEP, remains


def test_a_lab_that_cannot_come_up_leaves_nothing_and_says_why(root: Path, few: Path) -> None:
    name = new_name()
    with pytest.raises(LabError, match="market seed"):
        bring_up("baseline", root, name, stacks=few, balance=-1)
    assert_nothing_is_left(name, root)


def test_a_state_directory_that_the_servers_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(MachineError, match=r"chmod o\+x"):
        bring_up("baseline", tmp_path / "state")


def up(name: str, root: Path, stacks: Path) -> subprocess.Popen[bytes]:
    options = ("--name", name, "--state-dir", root, "--stacks", stacks, "--users", "5")
    return lab_command("up", "baseline", *options)


def lab_command(*arguments: str | Path) -> subprocess.Popen[bytes]:
    # Whoever runs the tests may ignore interrupts, which a child would then do too.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    start = f"{heed}; from lab.commands import app; app()"
    return subprocess.Popen(
        [sys.executable, "-c", start, *map(str, arguments)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("begun", "number"),
    [
        ("world.json", signal.SIGINT),
        ("mariadb-prepared/mysql", signal.SIGINT),
        ("machines/node-eu-west-1/api/api-0.sock", signal.SIGINT),
        ("machines/node-eu-west-1/redis", signal.SIGTERM),
    ],
)
def test_ctrl_c_while_it_comes_up_leaves_nothing(
    root: Path, few: Path, begun: str, number: signal.Signals
) -> None:
    name = new_name()
    with up(name, root, few) as process:
        until(begun, lambda: (root / name / begun).exists() or None, timeout_s=30, process=process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output.decode()
    assert b"Traceback" not in output
    assert_nothing_is_left(name, root)


def test_up_leaves_it_running_and_down_takes_it_away_from_another_process(root: Path, few: Path) -> None:
    name = new_name()
    try:
        with up(name, root, few) as process:
            output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, output.decode()
        assert f"isochrone lab connect sa-east-1 --name {name}".encode() in output
        assert len([p for p in world.status(name, root).processes if p.process.startswith("api-")]) == FEW
        with pytest.raises(LabInUseError, match=r"`isochrone lab up` brought up .* take it down with"):
            bring_up("baseline", root, name, stacks=few)
        assert len([p for p in world.status(name, root).processes if p.process.startswith("api-")]) == FEW
        with lab_command("down", "--name", name, "--state-dir", root) as process:
            assert process.wait(30) == 0
        assert_nothing_is_left(name, root)
    finally:
        destroy(name, root)


@pytest.mark.parametrize(
    "command",
    ["lab up geo-ii", "lab down", "lab connect sa-east-1", "compare", "faults run", "verify consistency"],
)
def test_who_is_not_root_is_told_to_use_sudo(
    command: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.chdir(tmp_path)
    stacks = (
        []
        if command.rsplit(maxsplit=1)[-1] in ("down", "sa-east-1", "consistency")
        else ["--stacks", str(PROJECT)]
    )
    options = ["--name", "tnone", "--state-dir", str(root), *stacks]
    result = CliRunner().invoke(app, [*command.split(), *options])
    assert result.exit_code in (1, 2)
    assert "run the same command with sudo" in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_down_leaves_a_lab_to_the_command_that_uses_it_unless_it_is_told_to_take_it(
    lab: str, tmp_path: Path
) -> None:
    down = ["down", "--name", lab, "--state-dir", str(tmp_path)]
    with World.create(lab, tmp_path, PAIR, DISTANT) as held:
        child = held.spawn("left", "sleeper", SLEEP)
        for arguments in (down, ["down", "--all", "--state-dir", str(tmp_path)]):
            refused = CliRunner().invoke(commands.app, arguments)
            assert refused.exit_code == 1
            assert "end that one, or take the lab from it with --force" in " ".join(refused.output.split())
            assert child.poll() is None
        assert CliRunner().invoke(commands.app, [*down, "--force"]).exit_code == 0
        assert remains(lab, tmp_path) == []


def test_a_kept_lab_of_which_nothing_runs_any_more_is_replaced(root: Path, few: Path) -> None:
    name = new_name()
    try:
        kept = bring_up("baseline", root, name, stacks=few, kept=True)
        kept.down(keep_state=True)
        with bring_up("baseline", root, name, stacks=few) as made:
            assert made.state.kept is False
    finally:
        destroy(name, root)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["up", "nowhere"], "baseline"),
        (["up", "baseline", "--matrix", "1999"], "2017"),
        (["connect", "sa-east-1", "--name", "tnone"], "lab up"),
        (["status", "--name", "tnone"], "no lab tnone"),
        (["down", "--name", "Not A Name"], "a-z"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(root: Path, arguments: list[str], advice: str) -> None:
    stacks = ["--stacks", str(PROJECT)] if arguments[0] == "up" else []
    result = CliRunner().invoke(commands.app, [*arguments, *stacks, "--state-dir", str(root)])
    assert result.exit_code == 1
    assert advice in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
