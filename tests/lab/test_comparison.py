"""What a comparison leaves behind when not all of its runs come about; the runs themselves are made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner
from typer.testing import Result as Done

from bench import stored
from bench.result import ArchitectureResult
from isochrone import app
from lab import experiment
from lab.errors import WorldError
from lab.experiment import Experiment
from tests.bench.synthetic import architecture_result, comparison


class Trials:
    """Measures what was made up, and fails at one of the runs."""

    def __init__(self, fails_at: int, error: BaseException) -> None:
        self.fails_at = fails_at
        self.error = error
        self.done = 0

    def run(self, trial: Experiment, *_: object) -> ArchitectureResult:
        if self.done == self.fails_at:
            raise self.error
        self.done += 1
        return replace(architecture_result(trial.architecture.name), data_path=trial.data_path)


def compare(out: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Done:
    monkeypatch.setattr(experiment, "run", trials.run)
    return CliRunner().invoke(app, ["compare", *arguments, "--name", "tnone", "--out", str(out)])


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (WorldError("the WAN ended"), 1), (OSError("full"), 1)]
)
def test_a_late_failure_costs_nothing_of_what_was_measured_before(
    error: BaseException, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = compare(tmp_path, Trials(4, error), monkeypatch, "--data-path", "both")
    assert done.exit_code == status
    assert f"What was measured until then: {tmp_path / 'result.json'}" in done.stderr
    found = stored.load(tmp_path / "result.json")
    assert list(found.architectures) == ["baseline", "geo-i", "geo-ii"]
    assert list(found.blocking) == ["baseline"]
    assert found.missing == ["geo-i (blocking)", "geo-ii (blocking)"]
    assert "Incomplete" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_comparison_that_comes_to_its_end_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = compare(tmp_path, Trials(9, OSError()), monkeypatch)
    assert done.exit_code == 0, done.output
    assert stored.load(tmp_path / "result.json").missing == []


def test_no_earlier_result_is_taken_for_one_that_never_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.save(comparison(), tmp_path / "result.json")
    (tmp_path / "report.html").write_text("earlier", encoding="utf-8")
    done = compare(tmp_path, Trials(0, WorldError("no")), monkeypatch)
    assert done.exit_code == 1
    assert "What was measured" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "previous-report.html",
        "previous-result.json",
    ]
    assert stored.load(tmp_path / "previous-result.json") == comparison()
