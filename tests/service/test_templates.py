"""Questions that come with events: what a template makes of one, and what a wrong template is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from market import replay, templates
from market.administration import Lapse
from market.match_events import Arrival
from market.protocol import Event, OpenPool, Rule
from market.settings import SettingsError
from market.templates import Question, pool_name, questions
from tests.service.administering import event

NEXT = """
[status]
kick_off = "live"

[[question]]
name = "next"
on = "goal"
where = { half = "2" }
question = "{player} scored. And {{now}}?"
options = ["{team}", "Nobody"]
decided_by = { event = "goal", field = "team", options = { home = 0 } }
lapses_with = { event = "full_time", option = 1 }
closes_in_s = 60
"""


def written(path: Path, text: str) -> str:
    (path / "templates.toml").write_text(text, encoding="utf-8")
    return str(path / "templates.toml")


def asked(text: str, path: Path, happened: Event, takeout: int = 30) -> tuple[list[Question], list[str]]:
    return questions(templates.load(written(path, text)), Arrival(happened, 5000), takeout)


def test_an_event_opens_the_pools_of_its_templates(tmp_path: Path) -> None:
    goal = event(7, "goal", half="2", team="home", player="Zoë {x}")
    (question,), said = asked(NEXT, tmp_path, goal)
    assert said == []
    assert question == Question(
        OpenPool(
            id=0,
            game="match-1",
            pool=pool_name("next", goal),
            question="Zoë {x} scored. And {now}?",
            options=["home", "Nobody"],
            takeout=30,
            closes_at_ms=65_000,
            decided_by=Rule("goal", "team", {"home": 0}),
        ),
        Lapse("full_time", 1),
    )
    assert asked(NEXT, tmp_path, goal)[0] == [question]


def test_a_template_may_have_a_takeout_of_its_own(tmp_path: Path) -> None:
    goal = event(7, "goal", half="2", team="home", player="A")
    ((question,), _) = asked(NEXT + "takeout = 0\n", tmp_path, goal)
    assert question.request.takeout == 0


@pytest.mark.parametrize(
    "happened", [event(1, "card", half="2"), event(1, "goal", half="1"), event(1, "goal")]
)
def test_other_events_open_nothing(tmp_path: Path, happened: Event) -> None:
    assert asked(NEXT, tmp_path, happened) == ([], [])


@pytest.mark.parametrize(
    ("data", "told"),
    [({}, "does not tell player"), ({"player": "x" * 190}, "200"), ({"player": "a", "team": "x" * 65}, "64")],
)
def test_an_event_whose_data_make_no_question_opens_nothing(
    tmp_path: Path, data: dict[str, str], told: str
) -> None:
    opened, (said,) = asked(NEXT, tmp_path, event(1, "goal", half="2", **({"team": "a"} | data)))
    assert opened == []
    assert told in said


def test_each_event_has_a_pool_of_its_own() -> None:
    names = {pool_name("n" * 40, event(number)) for number in range(50)}
    assert len(names) == 50
    assert all(len(name) <= 64 for name in names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[question]\n", "not TOML"),
        (NEXT.replace('on = "goal"', ""), "`on`"),
        (NEXT.replace("{player} scored", "{player.__class__} scored"), "next: .*between braces"),
        (NEXT.replace("{player} scored", "{0} scored"), "next: .*between braces"),
        (NEXT.replace("{player} scored", "{player!r} scored"), "next: .*between braces"),
        (NEXT.replace("{player} scored", "{player scored"), "next: "),
        (NEXT.replace("home = 0", "home = 2"), "there is no option 2"),
        (NEXT.replace("option = 1", "option = 3"), "there is no option 3"),
        (NEXT + NEXT.split("[[question]]")[1].join(["[[question]]", ""]), "next: there are several"),
        (NEXT + "takeout = 501\n", "takeout"),
        (NEXT + "colour = 1\n", "colour"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError, match=told) as refused:
        templates.load(path)
    assert path in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        templates.load(str(tmp_path / "none.toml"))


def test_the_services_own_questions_fit_its_recorded_match() -> None:
    own = templates.load(None)
    opened, said = [], []
    for happened in replay.read(None):
        made, unfit = questions(own, Arrival(happened, 0), 0)
        opened += [question.request.pool.rpartition("-")[0] for question in made]
        said += unfit
    assert said == []
    assert {template.name for template in own.question} == set(opened)
