"""What a run says: its table, its JSON and its verdict; and what the commands refuse."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from lab.errors import LabError
from lab.faults import books, catalogue, commands
from lab.faults.outcome import Outcome, Run, encode, table
from lab.faults.verifier import Pool, Row, Verdict

PROJECT = Path(__file__).parents[3]
HOLDS = Verdict(1200, 0, 0, 0, 0, 0, 0, conserved=True)
SURVIVED = Outcome(
    "region-cut-off",
    "Sydney is cut off",
    lasted_s=8.0,
    acknowledged=1200,
    served_after_s={"ap-southeast-2": 2.31, "sa-east-1": 0.4},
    connected_after_s=1.0,
    resets=3,
    verdict=HOLDS,
)


def run(*outcomes: Outcome) -> Run:
    return Run(
        "isochrone faults run", "geo-ii", "2017", "2026-01-01T00:00:00+00:00", 160, 80.0, 1, [*outcomes]
    )


def test_a_row_has_what_happened_what_was_lost_and_how_long_it_took() -> None:
    heading, _, row = table(run(SURVIVED)).splitlines()
    assert heading.count("|") == row.count("|")
    assert row == "| region-cut-off | Sydney is cut off for 8 s | 1,200 | 0 | 0 | 2.3 | 1.0 | 3 | survived |"


@pytest.mark.parametrize(
    "failed",
    [
        replace(SURVIVED, verdict=replace(HOLDS, lost=1)),
        replace(SURVIVED, verdict=replace(HOLDS, doubled=1)),
        replace(SURVIVED, verdict=replace(HOLDS, unexplained=1)),
        replace(SURVIVED, verdict=replace(HOLDS, disordered=1)),
        replace(SURVIVED, verdict=replace(HOLDS, skipped=1)),
        replace(SURVIVED, verdict=replace(HOLDS, conserved=False)),
        replace(SURVIVED, verdict=None),
        replace(SURVIVED, problem="the users are not served"),
    ],
)
def test_a_run_fails_with_any_fault_that_was_not_survived(failed: Outcome) -> None:
    assert run(SURVIVED, SURVIVED).passed
    found = run(SURVIVED, failed)
    assert not found.passed
    assert table(found).splitlines()[-1].endswith("| FAILED |")


def test_a_fault_after_which_nobody_was_served_has_no_recovery() -> None:
    outcome = replace(SURVIVED, served_after_s={}, connected_after_s=None, verdict=None)
    assert outcome.recovery_s is None
    assert "| ? | ? | - | - |" in table(run(outcome))


def test_the_json_is_the_run() -> None:
    assert msgspec.json.decode(encode(run(SURVIVED)), type=Run) == run(SURVIVED)


def test_the_books_are_what_the_service_prints_of_them() -> None:
    lines = [
        ["account", "user-0", 1000, 970],
        ["pool", "winner", [30, 0, 0], 1],
        ["receipt", "user-0", "k-1", 7, "12-0"],
        ["journal", "user-0", "k-1", "winner", 0, 30, 7, "12-0"],
        ["sql", "user-0", "k-1", "winner", 0, 30, 7, "12-0"],
    ]
    found = books.parse("\n".join(msgspec.json.encode(line).decode() for line in lines))
    row = Row("user-0", "k-1", "winner", 0, 30, 7, "12-0")
    assert (found.rows, found.journal) == ([row], [row])
    assert found.receipts == {("user-0", "k-1"): (7, "12-0")}
    assert (found.debited, found.pools) == ({"user-0": 30}, {"winner": Pool([30, 0, 0], 1)})
    with pytest.raises(LabError, match="not understood"):
        books.parse('["gossip",1]')


def test_list_has_every_fault() -> None:
    result = CliRunner().invoke(commands.app, ["list"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.output.splitlines()[1:] if not line.startswith(" ")]
    assert names == [fault.name for fault in (*catalogue.FAULTS, *catalogue.STANDBY_FAULTS)]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["run", "--fault", "no-such-fault"], "isochrone faults list"),
        (["run", "--stack", "baseline", "--fault", "region-cut-off"], "geo-ii"),
        (["soak", "--stack", "nowhere"], "baseline"),
        (["run", "--suite", "long"], "short"),
    ],
)
def test_mistakes_are_refused_before_anything_is_started(arguments: list[str], advice: str) -> None:
    result = CliRunner().invoke(commands.app, [*arguments, "--stacks", str(PROJECT)])
    assert result.exit_code == 2
    assert advice in result.output
