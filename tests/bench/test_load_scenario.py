from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench import plan
from bench.errors import BenchError, PlanError, ScenarioError
from bench.plan import Plan
from bench.scenario import Scenario, Stakes, Uniform

SCENARIO = Scenario(users=5, ramp_s=1, duration_s=2)


def divided(directory: Path, regions: list[str], scenario: Scenario = SCENARIO) -> list[Plan]:
    tokens = directory / "tokens"
    tokens.write_text("".join(f"user-{n}\ttoken-{n}\n" for n in range(scenario.users)))
    return plan.divide(
        regions,
        scenario,
        url="wss://play.test/ws",
        ca_file=directory / "ca.pem",
        tokens_file=tokens,
        directory=directory,
    )


def test_the_defaults_are_the_thesiss_waits() -> None:
    assert SCENARIO.join_wait_s == Uniform(1, 15)
    assert SCENARIO.place_wait_s == Uniform(1, 30)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(
            users=0,
            ramp_s=-1,
            duration_s=float("nan"),
            place_wait_s=Uniform(0, 1),
            stakes=Stakes(5, 4),
            options=0,
            game="",
        )
    assert isinstance(caught.value, BenchError)
    assert len(caught.value.problems) == 7
    for name in ("users", "ramp_s", "duration_s", "place_wait_s", "stakes", "options", "game"):
        assert any(problem.startswith(name) for problem in caught.value.problems)


def test_users_are_divided_evenly_and_the_regions_take_turns(tmp_path: Path) -> None:
    plans = divided(tmp_path, ["a", "b"])
    assert [list(part.members) for part in plans] == [[0, 2, 4], [1, 3]]


def test_a_region_without_users_gets_no_plan(tmp_path: Path) -> None:
    plans = divided(tmp_path, list("abcdefgh"))
    assert [part.region for part in plans] == list("abcde")


def test_a_plan_is_what_was_written(tmp_path: Path) -> None:
    (whole,) = divided(tmp_path, ["a"])
    plan.write(whole, tmp_path / "plan.json")
    assert plan.read(tmp_path / "plan.json") == whole


def test_each_user_has_its_own_token(tmp_path: Path) -> None:
    _, second = divided(tmp_path, ["a", "b"])
    assert plan.tokens(second) == [("user-1", "token-1"), ("user-3", "token-3")]


@pytest.mark.parametrize("text", [None, b"{", b"{}", b'{"region": 1}'])
def test_what_is_no_plan_is_refused_with_its_name(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(PlanError, match=r"plan\.json"):
        plan.read(path)


def test_a_plan_with_an_impossible_scenario_is_refused(tmp_path: Path) -> None:
    (whole,) = divided(tmp_path, ["a"])
    data = msgspec.to_builtins(whole)
    data["scenario"]["users"] = 0
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(data))
    with pytest.raises(PlanError, match="users is 0"):
        plan.read(tmp_path / "plan.json")


def test_a_missing_token_is_named(tmp_path: Path) -> None:
    _, second = divided(tmp_path, ["a", "b"])
    tokens = Path(second.tokens_file)
    tokens.write_text("user-0\ttoken-0\nuser-1\n")
    with pytest.raises(PlanError, match="has 2 lines"):
        plan.tokens(second)
    tokens.write_text("user-0\ttoken-0\nuser-1\nu\tt\nu\tt\n")
    with pytest.raises(PlanError, match="line 2"):
        plan.tokens(second)
