"""Whole labs with the real service: what runs in them works, and nothing stays when they go."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.regions import REGIONS, matrix
from infra.stackfile import load
from lab import client, commands, namespaces, world
from lab.errors import LabError, LabInUseError, MachineError
from lab.lab import Lab, ProcessEndedError, destroy, read_state
from lab.waiting import until

PROJECT = Path(__file__).parents[2]
USERS = 5
ROW = "SELECT stake FROM market.predictions WHERE user = %s AND idempotency_key = %s"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A state directory that the servers' own users can reach; pytest's are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="isochrone-lab-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def new_name() -> str:
    return f"t{secrets.token_hex(3)}"


def bring_up(stack: str, root: Path, name: str | None = None, **options: Any) -> Lab:
    return Lab.up(
        load(stack, PROJECT), matrix("2017"), name=name or new_name(), root=root, users=USERS, **options
    )


def assert_nothing_is_left(name: str, root: Path) -> None:
    assert namespaces.existing(f"{name}.") == []
    assert list(namespaces.CONFIGURATION.glob(f"{name}.*")) == []
    assert not (root / name).exists()
    seen = world.status(name, root)
    assert (seen.hosts, seen.processes) == ((), ())
    own = f"{root / name}/".encode()
    assert [p for p in Path("/proc").glob("[0-9]*/cmdline") if own in read_bytes(p)] == []


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def converse(
    lab: Lab, region: str, *requests: dict[str, Any], user: int = 0
) -> tuple[str, list[dict[str, Any]]]:
    """A user in a region: the address that was reached, and the reply to each request."""
    replies: list[dict[str, Any]] = []
    with subprocess.Popen(
        lab.worker_argv(region, client.argv_inside(lab.state, user)),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        reached = process.stdout.readline().split()[2]
        for number, request in enumerate(requests):
            process.stdin.write(json.dumps(request | {"id": number}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line.partition("  (")[0]) if line.startswith('{"') else {}
                if message.get("id") == number:
                    replies.append(message)
                    break
        process.stdin.close()
        process.stdout.read()
    return reached, replies


@pytest.fixture(scope="module")
def geo_ii(root: Path) -> Iterator[Lab]:
    lab = bring_up("geo-ii", root)
    yield lab
    lab.down()
    assert_nothing_is_left(lab.state.name, root)


@pytest.fixture
def baseline(root: Path) -> Iterator[Lab]:
    lab = bring_up("baseline", root)
    yield lab
    lab.down()
    assert_nothing_is_left(lab.state.name, root)


def test_what_the_master_redis_has_every_node_gets(geo_ii: Lab) -> None:
    with geo_ii.redis("redis") as master:
        master.set("a-key", "a value")
        assert master.execute_command("WAIT", 8, 20_000) == 8
    for region in REGIONS:
        with geo_ii.redis(f"node-{region}") as replica:
            assert replica.get("a-key") == "a value"


def test_a_prediction_in_sydney_becomes_a_row_on_the_sql_replica_in_singapore(geo_ii: Lab) -> None:
    place = {
        "type": "place_prediction",
        "game": "match-1",
        "pool": "winner",
        "option": 1,
        "stake": 70,
        "key": "k-1",
    }
    join = {"type": "join_game", "game": "match-1"}
    reached, (joined, placed) = converse(geo_ii, "ap-southeast-2", join, place, user=1)
    assert reached == geo_ii.machines["node-ap-southeast-2"].address
    assert joined["type"] == "joined"
    assert placed["type"] == "placed"
    with geo_ii.sql("sql-replica-ap-southeast-1") as replica, replica.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.read_only AS read_only")
        assert cursor.fetchone() == {"read_only": 1}
        until("the replica's row", lambda: cursor.execute(ROW, ("user-1", "k-1")) or None, timeout_s=20)
        assert list(cursor.fetchall()) == [{"stake": 70}]


def test_what_was_done_in_sydney_is_in_the_lists_and_in_the_audit_log_at_once(
    geo_ii: Lab, root: Path
) -> None:
    place = {"type": "place_prediction", "game": "match-1", "pool": "winner", "option": 0, "key": "k-a"}
    requests = ({"type": "join_game", "game": "match-1"}, place | {"stake": 5}, {"type": "list_transactions"})
    _, (_, placed, listed) = converse(geo_ii, "ap-southeast-2", *requests, user=2)
    assert [each["journal_id"] for each in listed["transactions"]] == [placed["journal_id"]]
    dump = subprocess.run(
        [Path(sys.executable).with_name("isochrone"), "audit", "dump", "--user", "user-2",
         "--name", geo_ii.state.name, "--state-dir", str(root)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in dump.stdout.splitlines()]
    assert [each["journal_id"] for each in lines if each["kind"] == "prediction"] == [placed["journal_id"]]
    assert [each["type"] for each in lines if each["kind"] == "command"] == ["join_game", "list_transactions"]


@pytest.mark.parametrize("region", ["ap-southeast-2", "sa-east-1", "eu-west-1"])
def test_a_user_reaches_the_node_of_the_region_by_name_through_tls(geo_ii: Lab, region: str) -> None:
    reached, (games,) = converse(geo_ii, region, {"type": "list_games"})
    assert reached == geo_ii.machines[f"node-{region}"].address
    assert [game["id"] for game in games["games"]] == ["match-1"]


def test_there_is_a_token_for_every_user_and_only_root_can_read_them(geo_ii: Lab) -> None:
    lines = geo_ii.tokens_file.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"user-{n}" for n in range(USERS)]
    assert geo_ii.tokens_file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_on_a_command_line_in_an_environment_or_a_log(geo_ii: Lab) -> None:
    hidden = [p.read_bytes().strip() for p in (geo_ii.ca_file.parents[1] / "secrets").iterdir()]
    assert len(hidden) == 9
    seen = [
        read_bytes(Path(f"/proc/{pid}/{file}"))
        for pids in geo_ii.pids().values()
        for pid in pids
        for file in ("cmdline", "environ")
    ]
    seen += [p.read_bytes() for p in geo_ii.ca_file.parents[1].rglob("*.log")]
    assert len(seen) > 50
    assert not [secret for secret in hidden if any(secret in text for text in seen)]


def test_files_that_hold_a_secret_are_their_owners_alone(geo_ii: Lab) -> None:
    state = geo_ii.ca_file.parents[1]
    hidden = [p.read_bytes().strip() for p in (state / "secrets").iterdir()]
    holders = [
        path
        for path in state.rglob("*")
        if path.is_file() and path.stat().st_size < 1 << 16 and any(s in path.read_bytes() for s in hidden)
    ]
    assert len(holders) > 20
    assert [p for p in holders if p.stat().st_mode & 0o077 and "data" not in p.parts] == []


def test_every_machine_runs_what_it_is_for_and_the_generators_nothing(geo_ii: Lab) -> None:
    names = {
        machine: sorted({Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids})
        for machine, pids in geo_ii.pids().items()
    }
    assert names["redis"] == ["redis-server"]
    assert names["sql"] == names["sql-replica-sa-east-1"] == ["mariadbd"]
    assert {"nginx", "redis-server"} < set(names["node-sa-east-1"])
    assert names["users-sa-east-1"] == []


def test_the_master_is_far_and_the_replica_at_hand(geo_ii: Lab) -> None:
    settings = (geo_ii.disk("node-ap-southeast-2") / "api" / "api.toml").read_text()
    assert f'[redis-master]\nhost = "{geo_ii.machines["redis"].address}"' in settings
    assert '[redis-read]\nhost = "127.0.0.1"' in settings
    assert f'[sql-read]\nhost = "{geo_ii.machines["sql-replica-ap-southeast-1"].address}"' in settings


def test_status_lists_machines_and_how_to_reach_them(geo_ii: Lab, root: Path) -> None:
    name = geo_ii.state.name
    result = CliRunner().invoke(
        commands.app, ["status", "--name", name, "--state-dir", str(root)], env={"COLUMNS": "160"}
    )
    assert result.exit_code == 0, result.output
    for word in ("sql-replica-sa-east-1", "Sydney", geo_ii.url, "2 api", "mariadb"):
        assert word in result.output
    assert read_state(name, root) == geo_ii.state


def test_a_lab_that_is_in_use_is_not_taken_over(geo_ii: Lab, root: Path) -> None:
    with pytest.raises(LabInUseError):
        bring_up("baseline", root, geo_ii.state.name)
    geo_ii.check()


def test_the_books_of_a_baseline_are_complete_after_a_drain(baseline: Lab) -> None:
    place = {
        "type": "place_prediction",
        "game": "match-1",
        "pool": "winner",
        "option": 2,
        "stake": 30,
        "key": "k-2",
    }
    reached, (_, placed) = converse(baseline, "sa-east-1", {"type": "join_game", "game": "match-1"}, place)
    assert reached == baseline.machines["node-eu-west-1"].address
    baseline.stop_apis()
    baseline.drain()
    baseline.check()
    totals, *rows = [json.loads(line) for line in baseline.dump().splitlines()]
    assert totals == {"pools": {"winner": {"totals": [0, 0, 30], "predictions": 1}}, "accounts_debited": 30}
    assert [row[:5] for row in rows] == [["user-0", "k-2", "winner", 2, 30]]
    assert rows[0][6] == placed["journal_id"]


def test_a_process_that_dies_is_noticed_by_name(baseline: Lab, root: Path) -> None:
    arguments = ["status", "--name", baseline.state.name, "--state-dir", str(root)]
    ledger = next(p for p in world.status(baseline.state.name, root).processes if p.process == "ledger")
    os.kill(ledger.pid, signal.SIGKILL)

    def noticed() -> bool | None:
        try:
            baseline.check()
        except ProcessEndedError as error:
            return "ledger on node-eu-west-1" in str(error)
        return None

    assert until("the check", noticed, timeout_s=10)
    result = CliRunner().invoke(commands.app, arguments)
    assert result.exit_code == 1
    assert f"ledger on node-eu-west-1 (process {ledger.pid}) has ended" in " ".join(result.stderr.split())


def test_a_lab_that_cannot_come_up_leaves_nothing_and_says_why(root: Path) -> None:
    name = new_name()
    with pytest.raises(LabError, match="market seed"):
        bring_up("baseline", root, name, balance=-1)
    assert_nothing_is_left(name, root)


def test_a_state_directory_that_the_servers_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(MachineError, match=r"chmod o\+x"):
        bring_up("baseline", tmp_path / "state")


def lab_command(*arguments: str | Path) -> subprocess.Popen[bytes]:
    start = "from lab.commands import app; app()"
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
def test_ctrl_c_while_it_comes_up_leaves_nothing(root: Path, begun: str, number: signal.Signals) -> None:
    name = new_name()
    with lab_command("up", "baseline", "--name", name, "--state-dir", root, "--users", "5") as process:
        until(begun, lambda: (root / name / begun).exists() or None, timeout_s=30, process=process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output.decode()
    assert b"Traceback" not in output
    assert_nothing_is_left(name, root)


def test_up_leaves_it_running_and_down_takes_it_away_from_another_process(root: Path) -> None:
    name = new_name()
    try:
        with lab_command("up", "baseline", "--name", name, "--state-dir", root, "--users", "5") as process:
            output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, output.decode()
        assert f"isochrone lab connect sa-east-1 --name {name}".encode() in output
        assert len([p for p in world.status(name, root).processes if p.process.startswith("api-")]) == 16
        with lab_command("down", "--name", name, "--state-dir", root) as process:
            assert process.wait(30) == 0
        assert_nothing_is_left(name, root)
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
