"""What a change of the infrastructure adds, removes, changes and costs, against an earlier commit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.changes import Changed, changes
from infra.earlier import EarlierError, earlier_preview
from infra.preview_view import rendered_changes

ROOT = Path(__file__).parents[2]


def resource(name: str, **inputs: Any) -> dict[str, Any]:
    return {
        "type": "aws:ec2/vpc:Vpc",
        "name": name,
        "region": "eu-west-1",
        "parent": "",
        "protect": False,
        "inputs": inputs,
    }


def preview(*resources: dict[str, Any], cost: float | None = 1.0) -> dict[str, Any]:
    return {"resources": list(resources), "cost_per_hour": cost}


def test_resources_are_the_same_by_type_and_name() -> None:
    found = changes(
        "main",
        preview(resource("kept", a=1), resource("gone"), resource("other", a=1, b=2)),
        preview(resource("kept", a=1), resource("new"), resource("other", a=1, b=3, c=4), cost=1.25),
    )
    assert [each.name for each in found.added] == ["new"]
    assert [each.name for each in found.removed] == ["gone"]
    assert found.changed == (Changed("aws:ec2/vpc:Vpc", "other", "eu-west-1", ("b", "c")),)
    assert found.usd_per_hour == 0.25


def test_losing_protection_is_a_change() -> None:
    before = resource("data") | {"protect": True}
    assert changes("main", preview(before), preview(resource("data"))).changed[0].keys == ("protect",)


def test_a_stack_that_is_new_is_all_added() -> None:
    found = changes("main", {}, preview(resource("new"), cost=2.0))
    assert ([each.name for each in found.added], found.usd_per_hour) == (["new"], 2.0)


def test_people_see_each_resource_and_the_cost() -> None:
    found = changes("main", preview(resource("a", x=1)), preview(resource("a", x=2), resource("b"), cost=1.5))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(rendered_changes(found))
    shown = captured.get()
    assert "Against main: 2 resources differ, +0.500 $ per hour" in shown
    assert "changed  Vpc       a     eu-west-1  x" in shown


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose commits have a preview that says what it was asked; `before` has none."""
    root = tmp_path / "repository"
    (root / "infra").mkdir(parents=True)
    git(root, "init", "-q")
    (root / "README.md").write_text("x")
    commit(root, "before")
    (root / "Pulumi.geo-i.yaml").write_text("config: {}")
    (root / "infra" / "__init__.py").write_text("")
    (root / "infra" / "commands.py").write_text(
        "from pathlib import Path\n"
        "def preview(stack: str, json: bool = False, stacks: Path = Path(), config: str = ''):\n"
        "    if config: raise SystemExit('config is wrong')\n"
        '    print(\'{"resources": [], "cost_per_hour": 3.0, "stack": "%s"}\' % stack)\n'
    )
    commit(root, "with")
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def commit(root: Path, tag: str) -> None:
    git(root, "add", "-A")
    git(root, "-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "-m", tag)
    git(root, "tag", tag)


def test_an_earlier_commit_is_previewed_by_its_own_program(repository: Path) -> None:
    shutil.rmtree(repository / "infra")
    assert earlier_preview("with", "geo-i", (), repository)["cost_per_hour"] == 3.0


def test_a_stack_that_the_commit_does_not_have_is_empty(repository: Path) -> None:
    assert earlier_preview("with", "geo-ii", (), repository) == {}


def test_a_commit_without_a_preview_is_refused(repository: Path) -> None:
    with pytest.raises(EarlierError, match="before is from before there was a preview"):
        earlier_preview("before", "geo-i", (), repository)


@pytest.mark.parametrize("ref", ["nope", "", "--output=outside"])
def test_a_commit_that_is_none_is_refused(repository: Path, ref: str) -> None:
    with pytest.raises(EarlierError, match=f"'{ref}' is no commit of"):
        earlier_preview(ref, "geo-i", (), repository)
    assert not list(repository.parent.rglob("outside*"))


def test_without_git_it_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository / "nothing"))
    with pytest.raises(EarlierError, match="with cannot be looked at without git: install it"):
        earlier_preview("with", "geo-i", (), repository)


def test_what_the_earlier_program_refuses_is_passed_on(repository: Path) -> None:
    with pytest.raises(EarlierError, match="geo-i at with failed: config is wrong"):
        earlier_preview("with", "geo-i", ("isochrone:zones=3",), repository)
