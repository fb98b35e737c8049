"""What a comparison fails for, and what it does not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bench.failures import failures
from bench.result import (
    ArchitectureResult,
    Broadcasts,
    Elasticity,
    Generator,
    Latency,
    Ledger,
    Meters,
    Range,
    Result,
    Spread,
    Summary,
    Users,
)

NOTHING = Range(None, None, None)
FINE = ArchitectureResult(
    users=Users(requested=8, connected=8, failed=0, lost=0),
    latency_ms={},
    broadcasts=Broadcasts(5000, 0, 0),
    broadcast_spread_ms=Spread(None, None, None),
    errors={},
    ledger=Ledger(acknowledged=3, rows=3, missing=0, duplicate=0, balanced=True),
    meters=Meters(NOTHING, NOTHING, NOTHING, NOTHING, None, Elasticity(None, None)),
    cost_per_hour=1.0,
    generator=Generator(None, saturated=False),
)
NONE_TAKEN = replace(FINE, ledger=Ledger(0, 0, 0, 0, True), errors={"error:5030": 700})
LOST = replace(FINE, users=Users(requested=8, connected=8, failed=0, lost=1))
REFUSED = replace(FINE, users=Users(requested=8, connected=6, failed=2, lost=0))
UNPROVEN = replace(FINE, ledger=Ledger(acknowledged=3, rows=2, missing=1, duplicate=0, balanced=False))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Result(1, {"geo-i": FINE}), []),
        (Result(1, {"geo-i": LOST}), ["geo-i: 1 of 8 users were lost"]),
        (Result(1, {"geo-i": REFUSED}), ["geo-i: 2 of 8 users could not connect"]),
        (Result(1, {"geo-i": UNPROVEN}), ["geo-i: the ledger does not add up"]),
        (Result(1, {"geo-i": FINE}, blocking={"geo-i": LOST}), []),
        (Result(1, {"geo-i": FINE}, blocking={"geo-i": NONE_TAKEN}), []),
        (Result(1, {"geo-i": FINE}, blocking={"geo-i": UNPROVEN}), ["geo-i (blocking): the ledger does not"]),
    ],
)
def test_a_comparison_fails_for_users_and_for_money_and_the_control_for_money_only(
    found: Result, said: list[str]
) -> None:
    reasons = failures(found)
    assert len(reasons) == len(said)
    assert all(reason.startswith(start) for reason, start in zip(reasons, said, strict=True))


def test_a_comparison_of_which_runs_are_missing_does_not_hold() -> None:
    assert failures(Result(1, {"a": FINE}, missing=["b (async)"])) == ["b (async) was not run"]


def requests(answered: int, due: int) -> ArchitectureResult:
    """A run in which so many of the reads and predictions that were due succeeded."""
    reads = Latency(Summary(due), {}, due=due - 10, answered=due - 10)
    return replace(
        FINE,
        latency_ms={"read": reads, "prediction": Latency(Summary(10), {}, 10, answered - (due - 10))},
        errors={"close:1006": 4, "error:5030": due - answered} if answered < due else {},
    )


def test_a_run_without_an_acknowledged_prediction_proves_nothing() -> None:
    assert failures(Result(1, {"geo-i": NONE_TAKEN})) == [
        "geo-i: no prediction was acknowledged, so nothing is proven",
        "geo-i: 700 of 700 requests did not get what they asked for (error:5030: 700)",
    ]


@pytest.mark.parametrize(("answered", "due", "fails"), [(2000, 2000, 0), (1998, 2000, 0), (1997, 2000, 1)])
def test_requests_that_fail_count_beyond_one_in_a_thousand(answered: int, due: int, fails: int) -> None:
    reasons = failures(Result(1, {"geo-i": requests(answered, due)}))
    assert len(reasons) == fails
    assert all("3 of 2,000 requests did not get what they asked for (error:5030: 3)" in r for r in reasons)


def test_requests_without_an_answer_count_though_nobody_said_that_they_failed() -> None:
    silent = replace(requests(1990, 2000), errors={})
    assert failures(Result(1, {"a": silent})) == ["a: 10 of 2,000 requests did not get what they asked for"]


def test_a_result_that_did_not_count_what_was_due_is_judged_by_its_errors() -> None:
    old = replace(FINE, ledger=Ledger(999, 999, 0, 0, True), errors={"close:1006": 50, "error:4003": 1})
    assert failures(Result(1, {"a": old})) == []
    assert len(failures(Result(1, {"a": replace(old, errors={"error:4003": 2})}))) == 1


@pytest.mark.parametrize(("missed", "fails"), [(5, 0), (99_999, 1)])
def test_broadcasts_that_were_missed_count_beyond_one_in_a_thousand(missed: int, fails: int) -> None:
    reasons = failures(Result(1, {"a": replace(FINE, broadcasts=Broadcasts(5000, missed, 0))}))
    assert len(reasons) == fails
    told = replace(FINE, errors={"push:state_lost": missed})
    assert len(failures(Result(1, {"a": told}))) == fails
    assert all("users missed 99,999 of 104,999 deliveries of broadcasts" in reason for reason in reasons)
