"""Several machines' parts of a run, an agreed start, and the proof of money from a dump."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from bench import coordinator
from bench.books import BooksError, prove_dump
from bench.coordinator import spawn_here
from bench.errors import WorkerError
from bench.load import Load
from bench.measured import Measured, load_of
from bench.plan import Plan, divide
from bench.scenario import Scenario, Uniform
from tests.bench.market_server import Market, market_server

SHORT = Scenario(
    users=4,
    ramp_s=0.1,
    duration_s=0.4,
    join_wait_s=Uniform(0, 0.1),
    place_wait_s=Uniform(0.1, 0.2),
    linger_s=0,
)


def plans(market: Market, directory: Path) -> list[Plan]:
    tokens = directory / "tokens"
    tokens.write_text("".join(f"user-{n}\ttoken-of-user-{n}\n" for n in range(SHORT.users)))
    return divide(
        ["here", "there"],
        SHORT,
        url=market.url,
        ca_file=market.ca_file,
        tokens_file=tokens,
        directory=directory,
    )


def measured(certificate: tuple[Path, Path], directory: Path, start_in_s: float) -> tuple[Measured, float]:
    """What is measured of workers that start so long after they were ready."""
    agreed: list[float] = []

    async def agree() -> float:
        agreed.append(time.time() + start_in_s)
        return agreed[0]

    async def whole() -> Measured:
        async with market_server(certificate) as market:
            return await coordinator.measure(plans(market, directory), spawn_here, directory, agree=agree)

    return asyncio.run(whole()), agreed[0]


@pytest.fixture(scope="module")
def ran(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, float]:
    return measured(certificate, tmp_path_factory.mktemp("agreed"), 0.7)


def test_workers_start_at_the_agreed_time(ran: tuple[Measured, float]) -> None:
    part, agreed = ran
    assert [outcome.started_us for outcome in part.outcomes] == [pytest.approx(agreed * 1e6, abs=1000)] * 2


def test_a_start_that_is_over_is_no_run(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"was over 5\.\d s before it was known: set the clocks right"):
        measured(certificate, tmp_path, -5.0)


def test_machines_are_one_load_and_the_busiest_says_how_well_it_was_generated(
    ran: tuple[Measured, float],
) -> None:
    whole, _ = ran
    here, there = whole.outcomes
    calm = Measured([here], 0.1, {"ramp": 0.1, "load": 0.2}, 0.0)
    busy = Measured([there], 0.5, {"ramp": 0.99, "load": None}, 0.01)
    load = load_of([calm, busy], SHORT.ramp_s)
    assert load.users == load_of([whole], SHORT.ramp_s).users
    assert set(load.latency["handshake"].by_region) == {"here", "there"}
    assert load.generator.cpu_busy == 0.5
    assert any("99% busy during the ramp" in reason for reason in load.generator.reasons)
    assert not any("during the load" in reason for reason in load.generator.reasons)


def test_a_machine_that_does_not_know_how_busy_it_was_says_nothing(ran: tuple[Measured, float]) -> None:
    part, _ = ran
    assert load_of([Measured(part.outcomes, None, {}, None)], SHORT.ramp_s).generator.cpu_busy is None


def dump(load: Load, *, earlier: int = 0) -> list[str]:
    rows: list[list[Any]] = [[*prediction, 2, f"{n}-0"] for n, prediction in enumerate(load.acknowledged)]
    totals = [sum(row[4] for row in rows if row[3] == option) for option in range(3)]
    first = {
        "pools": {"winner": {"totals": totals, "predictions": len(rows)}},
        "accounts_debited": sum(totals),
    }
    old = [["user-0", f"old-{n}", "winner", 0, 100, 1, f"{n}-9"] for n in range(earlier)]
    return [json.dumps(line) for line in (first, *old, *rows)]


def test_a_dump_proves_the_money_of_a_load(ran: tuple[Measured, float]) -> None:
    load = load_of([ran[0]], SHORT.ramp_s)
    ledger = prove_dump(dump(load), load)
    assert ledger.balanced
    assert ledger.rows == len(load.acknowledged) > 0


def test_rows_of_an_earlier_run_are_left_out_by_their_epoch(ran: tuple[Measured, float]) -> None:
    load = load_of([ran[0]], SHORT.ramp_s)
    assert prove_dump(dump(load, earlier=3), load, since_epoch=2).balanced
    assert prove_dump(dump(load, earlier=3), load).unexplained == 3


@pytest.mark.parametrize(
    "lines", [[], ["no json"], ['{"pools": {}}'], ['{"pools": {}, "accounts_debited": 0}', "[1]"]]
)
def test_what_is_no_dump_is_told(ran: tuple[Measured, float], lines: list[str]) -> None:
    with pytest.raises(BooksError, match="cannot be read"):
        prove_dump(lines, load_of([ran[0]], SHORT.ramp_s))
