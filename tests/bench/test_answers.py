"""The answers follow the figures: what physics gives, and the opposite where the data says so."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import pytest
from msgspec.structs import replace

from bench import floors
from bench.answers import Answer, answers, collapses, compared, latency_answer, typical_ms, verdicts
from bench.checks import checks
from bench.result import ArchitectureResult, Latency, Result, Summary, Users
from bench.wording import ms
from tests.bench.synthetic import HOME, REGIONS, architecture_result, comparison, facts, rtt_ms


def by_quantity(result: Result) -> dict[str, Answer]:
    return {answer.quantity: answer for answer in answers(result)}


def text(answer: Answer) -> str:
    return " ".join((answer.headline, *answer.sentences, answer.detail))


def scaled(run: ArchitectureResult, quantity: str, factor: float) -> ArchitectureResult:
    def summary(found: Summary) -> Summary:
        return replace(found, p50=(found.p50 or 0) * factor, p98=(found.p98 or 0) * factor)

    latency = run.latency_ms[quantity]
    changed = Latency(summary(latency.all), {name: summary(s) for name, s in latency.by_region.items()})
    return replace(run, latency_ms={**run.latency_ms, quantity: changed})


def changed(name: str, change: Callable[[ArchitectureResult], ArchitectureResult]) -> Result:
    result = comparison()
    return replace(result, architectures={**result.architectures, name: change(result.architectures[name])})


@pytest.mark.parametrize(
    ("quantity", "headline"),
    [
        ("handshake", "Handshakes: faster in geo-i and geo-ii"),
        ("read", "Reads: faster in geo-ii only, equal in geo-i"),
        ("prediction", "Predictions: equal everywhere"),
        ("broadcast", "Broadcasts: equal everywhere"),
    ],
)
def test_what_physics_gives(quantity: str, headline: str) -> None:
    assert by_quantity(comparison())[quantity].headline == headline


def test_equal_writes_are_explained_by_the_way_through_home() -> None:
    for quantity in ("prediction", "broadcast"):
        found = text(by_quantity(comparison())[quantity])
        assert "passes through Ireland in baseline, geo-i and geo-ii alike" in found
        assert "can at best equal baseline, as they do here" in found


def test_every_answer_has_the_measured_figures() -> None:
    result = comparison()
    for quantity in ("handshake", "read", "prediction", "broadcast"):
        found = text(by_quantity(result)[quantity])
        for name, run in result.architectures.items():
            latency = run.latency_ms[quantity]
            medians = [summary.p50 or 0 for summary in latency.by_region.values()]
            assert f"{ms(fmean(medians))} in {name}" in found
            assert ms(latency.all.p98) in found


@pytest.mark.parametrize(
    ("quantity", "factor", "headline"),
    [
        ("prediction", 0.5, "Predictions: faster in geo-i only, equal in geo-ii"),
        ("prediction", 1.4, "Predictions: equal in geo-ii, slower in geo-i"),
        ("prediction", 1.05, "Predictions: equal everywhere"),
        ("handshake", 400.0, "Handshakes: faster in geo-ii only, slower in geo-i"),
    ],
)
def test_where_the_data_says_otherwise_so_does_the_answer(
    quantity: str, factor: float, headline: str
) -> None:
    found = by_quantity(changed("geo-i", lambda run: scaled(run, quantity, factor)))[quantity]
    assert found.headline == headline


def test_a_result_that_the_wan_does_not_explain_is_said_to_be_one() -> None:
    found = text(by_quantity(changed("geo-i", lambda run: scaled(run, "prediction", 1.4)))["prediction"])
    assert "By the WAN's delays alone geo-i would be equal; it is slower" in found
    assert "passes through Ireland in baseline and geo-ii alike" in found


def test_a_broadcast_that_is_faster_over_an_equal_way_owes_it_to_the_burst() -> None:
    found = by_quantity(changed("geo-i", lambda run: scaled(run, "broadcast", 0.7)))["broadcast"]
    assert found.headline == "Broadcasts: equal by distance, a shorter burst in geo-i"
    assert "equally long in baseline and geo-i" in text(found)
    assert "this machine's figure" in text(found)


def test_a_broadcast_that_is_slower_over_an_equal_way_is_no_burst() -> None:
    found = by_quantity(changed("geo-i", lambda run: scaled(run, "broadcast", 1.5)))["broadcast"]
    assert "slower in geo-i" in found.headline
    assert "burst" not in text(found)


def test_slow_users_alone_count_too() -> None:
    def slower(run: ArchitectureResult) -> ArchitectureResult:
        latency = run.latency_ms["prediction"]
        summary = replace(latency.all, p98=1.5 * (latency.all.p98 or 0))
        return replace(run, latency_ms={**run.latency_ms, "prediction": replace(latency, all=summary)})

    found = by_quantity(changed("geo-ii", slower))["prediction"]
    assert found.headline == "Predictions: equal in geo-i, slower in geo-ii"
    assert "1.5 times slower at the 98th percentile" in text(found)


@pytest.mark.parametrize(
    ("value", "against", "direction"),
    [
        (100, 100, "equal"),
        (110, 100, "equal"),
        (111, 100, "slower"),
        (90, 100, "equal"),
        (89, 100, "faster"),
        (6, 2, "equal"),
        (8, 2, "slower"),
        (None, 100, "unknown"),
        (100, None, "unknown"),
    ],
)
def test_a_difference_counts_beyond_a_tenth_and_beyond_noise(
    value: float | None, against: float | None, direction: str
) -> None:
    assert compared(value, against) == direction


def test_a_median_between_two_clusters_of_regions_is_no_difference() -> None:
    def tipped(run: ArchitectureResult) -> ArchitectureResult:
        latency = run.latency_ms["prediction"]
        summary = replace(latency.all, p50=0.8 * (latency.all.p50 or 0))
        return replace(run, latency_ms={**run.latency_ms, "prediction": replace(latency, all=summary)})

    assert by_quantity(changed("geo-i", tipped))["prediction"].headline == "Predictions: equal everywhere"


def test_a_tail_of_few_values_does_not_count() -> None:
    def slower(count: int) -> Result:
        runs = {}
        for name, factor in (("baseline", 1.0), ("geo-i", 1.5)):
            summary = Summary(count, p50=100, p98=200 * factor)
            runs[name] = replace(architecture_result(name), latency_ms={"read": Latency(summary, {})})
        return Result(1, runs)

    assert by_quantity(slower(499))["read"].headline == "Reads: equal in geo-i"
    assert by_quantity(slower(500))["read"].headline == "Reads: slower in geo-i"


def test_only_regions_that_all_measured_are_averaged() -> None:
    run = architecture_result("baseline")
    near = Latency(Summary(10, p50=1), {"eu-west-1": Summary(10, p50=10)})
    both = Latency(Summary(20, p50=1), {"eu-west-1": Summary(10, p50=10), "sa-east-1": Summary(10, p50=190)})
    runs = {"a": replace(run, latency_ms={"read": near}), "b": replace(run, latency_ms={"read": both})}
    assert typical_ms("read", runs) == {"a": 10, "b": 10}


def test_percentiles_that_move_apart_are_mixed() -> None:
    base = replace(architecture_result("baseline"), regions={})

    def with_latency(p50: float, p98: float) -> ArchitectureResult:
        return replace(base, latency_ms={"read": Latency(Summary(1000, p50=p50, p98=p98), {})})

    runs = {"baseline": with_latency(100, 200), "other": with_latency(50, 400)}
    assert [v.direction for v in verdicts("read", runs, HOME)] == ["equal", "mixed"]


def test_without_a_baseline_the_first_is_compared_with() -> None:
    runs = {name: comparison().architectures[name] for name in ("geo-ii", "geo-i")}
    found = latency_answer("read", runs, HOME)
    assert found is not None
    assert found.headline == "Reads: slower in geo-i"


def test_one_architecture_alone_is_not_compared() -> None:
    result = Result(1, {"geo-i": comparison().architectures["geo-i"]})
    for quantity, answer in by_quantity(result).items():
        assert "faster" not in text(answer)
        assert "equal" not in text(answer), quantity


def test_what_was_not_measured_is_said_to_be_so() -> None:
    nothing = Latency(Summary(0), {})
    result = changed("geo-i", lambda run: replace(run, latency_ms={**run.latency_ms, "read": nothing}))
    assert by_quantity(result)["read"].headline == "Reads: faster in geo-ii only, not measured in geo-i"
    result = changed("baseline", lambda run: replace(run, latency_ms={}))
    assert by_quantity(result)["read"].headline == "Reads: not measured"


def test_nothing_run_answers_nothing() -> None:
    assert answers(Result(1, {})) == []


def test_the_floor_is_what_the_wan_alone_costs() -> None:
    there = rtt_ms("ap-northeast-1", HOME)
    expected = {
        "baseline": {"handshake": 3 * there, "read": there, "prediction": there, "broadcast": there / 2},
        "geo-i": {"handshake": 3, "read": 1 + there, "prediction": 1 + there, "broadcast": (1 + there) / 2},
        "geo-ii": {"handshake": 3, "read": 1, "prediction": 1 + there, "broadcast": (1 + there) / 2},
    }
    for name, quantities in expected.items():
        for quantity, floor in quantities.items():
            assert floors.floor_ms(quantity, "ap-northeast-1", facts(name), HOME) == pytest.approx(floor)


def test_a_floor_that_the_facts_do_not_tell_is_none() -> None:
    places = facts("geo-ii")
    elsewhere = {**places, "ap-southeast-2": replace(places["ap-southeast-2"], reads_from="ap-southeast-1")}
    assert floors.floor_ms("read", "ap-southeast-2", elsewhere, HOME) is None
    assert floors.floor_ms("read", "eu-central-1", places, HOME) is None
    assert (
        floors.mean_floor_ms("read", replace(architecture_result("geo-ii"), regions=elsewhere), HOME) is None
    )


def test_no_region_is_below_its_floor() -> None:
    for run in comparison().architectures.values():
        for quantity, latency in run.latency_ms.items():
            for region in REGIONS:
                floor = floors.floor_ms(quantity, region, run.regions, HOME)
                least = latency.by_region[region].min
                assert floor is not None
                assert least is not None
                assert least > floor


def test_the_control_shows_the_collapse_and_its_cause() -> None:
    found = by_quantity(comparison(control=True))["blocking"]
    assert found.headline == "Blocking database calls: collapse of geo-i and geo-ii"
    assert "662 of 2,400 users not connected or lost" in text(found)
    assert "only the database calls differ" in text(found)
    assert "baseline holds" in text(found)


def test_a_control_that_holds_up_is_not_called_a_collapse() -> None:
    result = comparison()
    same = replace(result, blocking=dict(result.architectures))
    found = by_quantity(same)["blocking"]
    assert found.headline == "Blocking database calls: no collapse at this load"
    assert "cause" not in text(found)


def test_without_a_control_nothing_is_said_of_blocking() -> None:
    assert "blocking" not in by_quantity(comparison())


def test_losing_users_is_a_collapse_too() -> None:
    run = architecture_result("geo-i")
    assert not collapses(run, run)
    assert collapses(run, replace(run, users=Users(2400, 2400, 0, 200)))
    assert collapses(run, replace(run, latency_ms={}))


def test_the_cost_is_compared() -> None:
    found = by_quantity(comparison())["cost"]
    assert found.headline == "Cost: up to $6.93 an hour"
    assert "geo-i $6.93, 2.8 times as much" in text(found)


def test_the_cost_says_what_it_rests_on() -> None:
    dated = "prices of 2015-11-09, without data transfer"
    notes = {"baseline": [dated], "geo-i": [dated, "m3.medium estimated as 0.25 of m3.xlarge"]}
    runs = {name: replace(architecture_result(name), cost_notes=found) for name, found in notes.items()}
    assert by_quantity(Result(1, runs))["cost"].detail == (
        "Prices of 2015-11-09, without data transfer. geo-i: m3.medium estimated as 0.25 of m3.xlarge."
    )


def test_a_good_run_passes_every_check() -> None:
    assert all(check.ok for check in checks(architecture_result("geo-i")))


def test_broadcasts_before_their_time_are_told_and_not_blamed_on_the_architecture() -> None:
    run = architecture_result("geo-i")
    found = {c.name: c for c in checks(replace(run, broadcasts=replace(run.broadcasts, early=12)))}
    assert found["Broadcasts"].ok
    assert "12 before they were published: the clocks differ" in found["Broadcasts"].text


def test_each_failing_says_which_and_how_much() -> None:
    run = architecture_result("geo-i")
    run = replace(
        run,
        users=Users(2400, 2390, 10, 3),
        broadcasts=replace(run.broadcasts, missed=7),
        errors={"4001": 2, "timeout": 1},
        latency_ms={**run.latency_ms, "read": replace(run.latency_ms["read"], due=9, answered=8)},
        ledger=replace(run.ledger, missing=4, balanced=False),
        generator=replace(run.generator, saturated=True, reasons=["lag above 50 ms"]),
    )
    found = {check.name: check for check in checks(run)}
    assert not any(check.ok for check in found.values())
    assert "10 failed, 3 lost" in found["Users"].text
    assert "8 of the 9 that were due answered" in found["Requests"].text
    assert "7 missed" in found["Broadcasts"].text
    assert "3 errors (4001: 2, timeout: 1)" in found["Errors"].text
    assert "4 missing, does not balance" in found["Ledger"].text
    assert "saturated: lag above 50 ms" in found["Load generator"].text
