"""The comparison on a terminal."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from bench import table
from bench.result import Generator, Latency, Result, Spread, Summary
from bench.wording import UNKNOWN
from tests.bench.synthetic import architecture_result, comparison


def shown(result: Result, width: int = 120) -> str:
    out = io.StringIO()
    table.show(result, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize(
    "row",
    [
        *("Users connected", "Handshakes", "Reads", "Predictions", "Broadcasts median", "Spread", "missed"),
        *("Ledger", "CRUM", "SPM", "SLM", "SEC", "ESS", "ESR", "Cost per hour"),
    ],
)
def test_every_row_is_there_once_per_table(row: str) -> None:
    found = shown(comparison()).split("Handshakes: faster")[0]
    assert sum(row in line for line in found.splitlines()) == 1


def test_the_control_has_a_table_of_its_own_and_the_answers_come_last() -> None:
    found = shown(comparison(control=True))
    assert (
        found.index("async data path") < found.index("The control: blocking") < found.index("Reads: faster")
    )


def test_figures_are_the_mean_of_the_regions_medians_and_the_98th_percentile_of_all_users() -> None:
    run = architecture_result("baseline")
    regions = {"eu-west-1": Summary(2, p50=100.0), "us-east-1": Summary(3, p50=146.8)}
    read = Latency(Summary(5, p50=999.0, p98=4567.8), regions)
    found = shown(Result(1, {"baseline": replace(run, latency_ms={"read": read})}))
    assert "123 / 4,568" in found
    assert "Medians are the mean of the regions' medians" in " ".join(found.split())


def test_what_is_not_known_is_a_dash() -> None:
    run = replace(architecture_result("baseline"), latency_ms={"read": Latency(Summary(0), {})})
    run = replace(run, generator=Generator(None, False))
    assert f"{UNKNOWN} / {UNKNOWN}" in shown(Result(1, {"baseline": run}))


def test_what_went_wrong_stands_under_the_table() -> None:
    run = architecture_result("geo-i")
    found = shown(Result(1, {"geo-i": replace(run, errors={"4003": 12})}))
    assert "geo-i: Errors: 12 errors (4003: 12)" in found


def test_names_are_not_markup() -> None:
    found = shown(Result(1, {"[red]x[/nothing]": architecture_result("geo-i")}))
    assert "[red]x[/nothing]" in found


def test_a_narrow_terminal_loses_no_figure() -> None:
    found = shown(comparison(), width=80)
    for name in ("baseline", "geo-i", "geo-ii", "$2.49", "$6.93", "$6.72"):
        assert name in found


def test_nothing_run_shows_a_table_without_columns() -> None:
    assert "Users connected" in shown(Result(1, {}))


def test_requests_that_were_not_answered_are_shown_of_those_that_were_due() -> None:
    run = architecture_result("geo-i")
    latency = {
        "read": replace(run.latency_ms["read"], due=2880, answered=1900),
        "prediction": replace(run.latency_ms["prediction"], due=709, answered=460),
    }
    found = shown(Result(1, {"geo-i": replace(run, latency_ms=latency)}))
    assert "2,360 of 3,589" in found
    assert "geo-i: Requests: 2,360 of the 3,589 that were due answered; what was not enters" in " ".join(
        found.split()
    )


def test_a_result_that_did_not_count_what_was_due_is_not_blamed_for_it() -> None:
    found = shown(Result(1, {"geo-i": architecture_result("geo-i")}))
    (row,) = (line for line in found.splitlines() if "Requests answered" in line)
    assert UNKNOWN in row
    assert "geo-i: Requests" not in found


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        (Spread(166.2, 170.4, 190.0, 60), "166 / p98 170 (n = 60)"),
        (Spread(166.2, None, 166.9, 2), "166 / max 167 (n = 2)"),
        (Spread(166.2, 166.9, 166.9), "166 / max 167"),
        (Spread(None, None, None, 0), UNKNOWN),
    ],
)
def test_a_spread_of_few_broadcasts_shows_no_98th_percentile(spread: Spread, text: str) -> None:
    found = shown(Result(1, {"a": replace(architecture_result("geo-i"), broadcast_spread_ms=spread)}))
    (row,) = (line for line in found.splitlines() if "Spread" in line)
    assert row.rstrip().endswith(text)
