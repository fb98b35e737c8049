"""What the command reads of a stack, what it refuses, and how a comparison grows run by run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from bench import html, stored
from bench.result import Result, encode
from fleet import comparison, outputs, tokens
from fleet.errors import FleetError
from fleet.outputs import Outputs
from isochrone import app
from market.tokens import Signer
from tests.bench.synthetic import comparison as made_result
from tests.fleet.conftest import ROOT, TOKEN_KEY, Cloud, stack

PRINTED: dict[str, Any] = {
    "url": "wss://play.market.example/ws",
    "load_bucket": "isochrone-baseline-load-123456789012",
    "load_groups": {"eu-west-1": "isochrone-baseline-load-eu-west-1"},
    "sql_hosts": {},
    "cost_per_hour": 2.352,
}


def written(tmp_path: Path, **changes: Any) -> Path:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({k: v for k, v in {**PRINTED, **changes}.items() if v is not None}))
    return file


class TestOutputs:
    def test_a_file_has_what_the_engine_printed(self, tmp_path: Path) -> None:
        found = outputs.read(stack(), written(tmp_path), ROOT)
        assert found == Outputs(PRINTED["url"], PRINTED["load_bucket"])

    def test_the_engine_is_asked_for_the_stack(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "pulumi"
        program.write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/asked\ncat {written(tmp_path)}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        assert outputs.read(stack(), None, ROOT).url == PRINTED["url"]
        assert (tmp_path / "asked").read_text() == "stack output --json --stack baseline\n"

    def test_an_engine_that_fails_or_is_not_there_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FleetError, match="install it, or give --outputs FILE"):
            outputs.read(stack(), None, ROOT)
        program = tmp_path / "pulumi"
        program.write_text("#!/bin/sh\necho no stack named baseline >&2\nexit 255\n")
        program.chmod(0o755)
        with pytest.raises(FleetError, match="failed: no stack named baseline"):
            outputs.read(stack(), None, ROOT)

    def test_a_stack_without_a_fleet_is_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(FleetError, match=r"without a load fleet: set isochrone:load"):
            outputs.read(stack(), written(tmp_path, load_bucket=None), ROOT)

    def test_a_stack_that_is_not_the_files_is_refused(self, tmp_path: Path) -> None:
        site = stack(domain="other.example")
        with pytest.raises(FleetError, match=r"is at wss://play\.market\.example/ws and its file says"):
            outputs.read(site, written(tmp_path), ROOT)


class TestTokens:
    def test_they_are_those_that_the_stacks_nodes_accept(self, cloud: Cloud) -> None:
        site = stack()
        cloud.up(site)
        lines = tokens.table(tokens.signer(cloud.client, site), 3, 60).decode().splitlines()
        pairs = [line.split("\t") for line in lines]
        assert [user for user, _ in pairs] == ["user-0", "user-1", "user-2"]
        assert [Signer(TOKEN_KEY).verify(token).user for _, token in pairs] == ["user-0", "user-1", "user-2"]

    def test_a_key_that_cannot_be_read_is_told_by_its_name(self, cloud: Cloud) -> None:
        with pytest.raises(FleetError, match="isochrone/baseline/token-key, cannot be read"):
            tokens.signer(cloud.client, stack())


def on_aws(name: str, **changes: Any) -> Result:
    """A comparison of one architecture as it would come from AWS."""
    made = made_result()
    assert made.run
    run = msgspec.structs.replace(made.run, world="aws", matrix="AWS", **changes)
    return Result(made.schema, {name: made.architectures[name]}, run)


class TestComparison:
    def test_it_grows_by_a_stack_and_replaces_one_that_is_run_again(self, tmp_path: Path) -> None:
        path = tmp_path / "result.json"
        for name in ("baseline", "geo-i", "baseline"):
            one = on_aws(name)
            assert one.run
            path.write_bytes(encode(comparison.joined(path, name, one.architectures[name], one.run)))
        assert list(stored.load(path).architectures) == ["baseline", "geo-i"]

    def test_runs_under_different_loads_are_not_compared(self, tmp_path: Path) -> None:
        path = tmp_path / "result.json"
        path.write_bytes(encode(on_aws("baseline")))
        other = on_aws("geo-i", users=7)
        assert other.run
        with pytest.raises(FleetError, match=r"has runs with users 2400, and this one has users 7: choose"):
            comparison.joined(path, "geo-i", other.architectures["geo-i"], other.run)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"seed": 2}, "has runs with the seed 1, and this one has the seed 2"),
            ({"machine": "2 of them"}, "the load fleet 2 of them"),
            ({"version": "9.9"}, "the version 9.9"),
            ({"prices": "2026-03-01"}, "the prices of 2026-03-01"),
        ],
    )
    def test_runs_that_are_unlike_in_another_way_are_not_compared_either(
        self, changes: dict[str, Any], said: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "result.json"
        path.write_bytes(encode(on_aws("baseline", seed=1, prices="2015-11-09")))
        other = on_aws("geo-i", **{"seed": 1, "prices": "2015-11-09", **changes})
        assert other.run
        with pytest.raises(FleetError, match=re.escape(said)):
            comparison.joined(path, "geo-i", other.architectures["geo-i"], other.run)

    def test_each_architecture_keeps_what_was_run_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "result.json"
        path.write_bytes(encode(on_aws("baseline", command="first")))  # of a version that kept one for all
        for name, command in (("geo-i", "second"), ("geo-ii", "third")):
            one = on_aws(name, command=command, seed=1)
            assert one.run
            path.write_bytes(encode(comparison.joined(path, name, one.architectures[name], one.run)))
        found = stored.load(path)
        assert {name: run.run.command for name, run in found.architectures.items() if run.run} == {
            "baseline": "first",
            "geo-i": "second",
            "geo-ii": "third",
        }
        assert found.run
        assert (found.run.command, found.run.seed) == ("first", 1)
        html.write(found, tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert all(f"<code>{command}</code>" in text for command in ("first", "second", "third"))

    def test_the_report_speaks_of_aws_and_not_of_the_lab(self, tmp_path: Path) -> None:
        html.write(on_aws("baseline"), tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "What this run does not say" in text
        assert "What the lab does not model" not in text


class TestCommand:
    def run(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["fleet", "run", *arguments], catch_exceptions=False)
        return done.exit_code, done.output

    def test_a_stack_that_there_is_not_is_refused(self, tmp_path: Path) -> None:
        status, said = self.run("nowhere", "--stacks", str(ROOT), "--out", str(tmp_path))
        assert status == 2
        assert "there are stacks baseline, geo-i, geo-ii" in said

    def test_a_stack_that_is_protected_is_not_emptied_for_a_benchmark(self, tmp_path: Path) -> None:
        status, said = self.run(
            "baseline",
            "--stacks",
            str(ROOT),
            "--outputs",
            str(written(tmp_path)),
            "--out",
            str(tmp_path / "o"),
        )
        assert status == 2
        assert "isochrone:protect to false" in " ".join(said.split())

    def test_a_load_that_does_not_fit_the_comparison_is_refused_before_it_is_run(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "result.json").write_bytes(encode(on_aws("geo-i", users=7)))
        status, said = self.run("baseline", "--stacks", str(ROOT), "--out", str(tmp_path), "--users", "8")
        assert status == 2
        assert "choose another --out" in " ".join(said.split())
