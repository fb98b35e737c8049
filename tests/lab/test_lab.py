"""Whole labs with the real service: what runs in them works, and nothing stays when they go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from infra.regions import REGIONS
from lab import client, commands, states, verify_command, world
from lab.errors import LabInUseError
from lab.lab import Lab, ProcessEndedError
from lab.waiting import until
from market import keys
from market.protocol import decode_push, encode
from tests.lab.labs import PROJECT, USERS, assert_nothing_is_left, bring_up, read_bytes

ROW = "SELECT stake FROM market.predictions WHERE user = %s AND idempotency_key = %s"


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
def baseline(root: Path, few: Path) -> Iterator[Lab]:
    lab = bring_up("baseline", root, stacks=few)
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


def test_a_lab_s_money_is_play_money_that_every_user_may_make(geo_ii: Lab) -> None:
    before, deposit = {"type": "get_account"}, {"type": "deposit", "amount": 700, "key": "d-1"}
    _, (account, deposited) = converse(geo_ii, "sa-east-1", before, deposit, user=3)
    assert deposited["balance"] == account["balance"] + 700


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


def test_no_sql_server_removes_the_temporary_tables_of_another(geo_ii: Lab) -> None:
    for machine in ("sql", "sql-replica-sa-east-1"):
        home = geo_ii.disk(machine) / "mariadb"
        assert f"tmpdir = {home / 'tmp'}\n" in (home / "mariadb.cnf").read_text()


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
    assert states.read(name, root) == geo_ii.state


def verified(lab: Lab, root: Path) -> Result:
    """What `isochrone verify consistency` says."""
    arguments = ["consistency", "--name", lab.state.name, "--state-dir", str(root)]
    return CliRunner().invoke(verify_command.app, arguments, env={"COLUMNS": "160"})


def test_all_processes_have_one_order_of_pushes_and_one_that_has_another_is_named(
    geo_ii: Lab, root: Path
) -> None:
    same = verified(geo_ii, root)
    assert same.exit_code == 0, same.stderr
    assert "The 16 processes agree on one order." in same.stdout
    with geo_ii.redis("redis") as master:
        newest: Any = master.lindex(keys.history("match-1"), -1)
    push = decode_push(newest)
    other = msgspec.structs.replace(push, offset=push.offset + 1, published_us=0)
    with geo_ii.redis("node-sa-east-1") as replica:
        assert replica.publish(keys.channel("match-1"), encode(other)) == 2, "its two processes listen"
    place = {"type": "place_prediction", "game": "match-1", "pool": "winner", "option": 0, "key": "k-v"}
    converse(geo_ii, "eu-west-1", {"type": "join_game", "game": "match-1"}, place | {"stake": 5}, user=3)

    def told() -> Result | None:
        found = verified(geo_ii, root)
        return found if "other pushes" in found.stderr else None

    differing = until("the other push is compared", told, timeout_s=20)
    assert differing.exit_code == 1
    lines = [line for line in differing.stderr.splitlines() if "other pushes" in line]
    assert lines == [line for line in lines if f"at the offsets {other.offset}" in line]
    assert {line.partition(".")[0] for line in lines} == {"node-sa-east-1"}


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
