"""The scripts that machines run: as the shell runs them, and what is made of what they say."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from bench.database_counts import DatabaseCounts
from fleet import scripts
from fleet.errors import FleetError

COUNTED = json.dumps(
    {"redis": {"10.4.128.10:6379": {"hits": 5, "misses": 2}}, "sql": {"sql.example:3306": 7}}
)


def counted(host: str, hits: int, questions: int) -> str:
    redis = {f"{host}:6379": {"hits": hits, "misses": 1}}
    return json.dumps({"redis": redis, "sql": {f"{host}:3306": questions}})


def run(script: str, folder: Path, **programs: str) -> tuple[int, list[str]]:
    """Run a script with programs of the test in place of the image's; its status, and what was called."""
    calls = folder / "calls"
    for name, body in {"systemctl": "", "market": "", "python": "", **programs}.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n{body}\n')
        program.chmod(0o755)
    replaced = script.replace(scripts.MARKET, str(folder / "market")).replace(
        scripts.PYTHON, str(folder / "python")
    )
    replaced = replaced.replace("/var/tmp", str(folder))  # noqa: S108
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", replaced], env=environment, check=False, timeout=20, capture_output=True
    )
    return done.returncode, calls.read_text().splitlines()


class TestBooks:
    SCRIPT = scripts.books("the-bucket", "eu-west-1", "run-1")
    DUMP = 'if [ "$1" = dump ]; then echo "a line"; fi'

    def test_the_journal_is_drained_before_the_dump_that_is_left_in_the_bucket(self, tmp_path: Path) -> None:
        status, calls = run(
            self.SCRIPT,
            tmp_path,
            market=self.DUMP,
            python=f'for file; do :; done; cp "$file" {tmp_path}/left',
        )
        assert status == 0
        names = [" ".join(call.split()[:2]) for call in calls]
        assert names == ["systemctl stop", "market ledger", "market dump", "python -c", "systemctl start"]
        assert "--drain" in calls[1]
        assert "eu-west-1 the-bucket books/run-1.jsonl.gz" in calls[3]
        assert gzip.decompress((tmp_path / "left").read_bytes()) == b"a line\n"

    @pytest.mark.parametrize("failing", ["ledger", "dump"])
    def test_the_ledger_runs_again_whatever_fails_and_nothing_is_left(
        self, tmp_path: Path, failing: str
    ) -> None:
        status, calls = run(self.SCRIPT, tmp_path, market=f'[ "$1" != {failing} ]')
        assert status == 1
        assert calls[-1] == "systemctl start market-ledger.service"
        assert not [call for call in calls if call.startswith("python")]
        assert not list(tmp_path.glob("isochrone-books*"))


class TestCrew:
    SCRIPT = scripts.crew("the-bucket", "eu-west-1", "run-1", "eu-west-1-i-1")

    def test_the_generator_is_fetched_and_gone_after_the_work(self, tmp_path: Path) -> None:
        status, calls = run(self.SCRIPT, tmp_path)
        assert status == 0
        assert "eu-west-1 the-bucket jobs/run-1/generator.zip" in calls[0]
        assert calls[1] == "python -m fleet.crew the-bucket eu-west-1 run-1 eu-west-1-i-1"
        assert not list(tmp_path.glob("isochrone-crew*"))

    def test_work_that_fails_fails_the_script(self, tmp_path: Path) -> None:
        status, _ = run(self.SCRIPT, tmp_path, python='[ "$1" != -m ]')
        assert status == 1


@pytest.mark.parametrize(
    ("said", "epoch"),
    [
        ("seeded 5 accounts in epoch 17", 17),
        ('{"event":"seeded 24000 accounts in epoch 1790000000"}', 1790000000),
    ],
)
def test_the_epoch_is_what_the_seed_says(said: str, epoch: int) -> None:
    assert scripts.seeded_epoch(said) == epoch


def test_a_seed_that_says_no_epoch_is_told() -> None:
    with pytest.raises(FleetError, match="does not say which epoch"):
        scripts.seeded_epoch("done")


def test_a_server_that_several_machines_name_counts_once() -> None:
    assert scripts.totals({"i-1": COUNTED, "i-2": f"a warning\n{COUNTED}\n"}) == DatabaseCounts(5, 2, 7)


def test_servers_on_machines_themselves_are_each_machines_own() -> None:
    printed = {"i-1": counted("127.0.0.1", 5, 7), "i-2": counted("127.0.0.1", 6, 8)}
    assert scripts.totals(printed) == DatabaseCounts(11, 2, 15)


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"redis": {}}'])
def test_what_is_no_count_is_told_with_its_machine(text: str) -> None:
    with pytest.raises(FleetError, match="i-1 does not say what its databases have served"):
        scripts.totals({"i-1": text})
