"""The workflows of pull requests and of drift: what they run exists, may do little and holds no key.

The scripts of their steps are run here, with fakes of the programs that ask GitHub, AWS or the engine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from infra.review import MARKER, comment
from isochrone import app

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("preview", "drift")
TEXTS = {name: (FOLDER / f"{name}.yml").read_text(encoding="utf-8") for name in NAMES}
# YAML reads the key `on` as true.
WORKFLOWS: Mapping[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {(name, job): told for name in NAMES for job, told in WORKFLOWS[name]["jobs"].items()}


def scripts() -> Iterator[tuple[str, str, str]]:
    """Each script of a step: its workflow, job and text."""
    for (name, job), told in JOBS.items():
        for step in told["steps"]:
            if "run" in step:
                yield name, job, step["run"]


def script(workflow: str, job: str, saying: str) -> str:
    """The one script of a job that says something."""
    (found,) = [text for name, of, text in scripts() if (name, of) == (workflow, job) and saying in text]
    return found


def test_every_pull_request_is_previewed_and_drift_is_looked_for_every_day() -> None:
    assert WORKFLOWS["preview"][True] == {"pull_request": None}
    assert WORKFLOWS["drift"][True].keys() == {"schedule", "workflow_dispatch"}
    (schedule,) = WORKFLOWS["drift"][True]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_but_the_run_s_own_token_is_named(name: str) -> None:
    assert set(re.findall(r"secrets\.(\w+)|secrets\[", TEXTS[name])) == {"GITHUB_TOKEN"}
    assert "aws-access-key-id" not in TEXTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_and_say_their_version(name: str) -> None:
    used = re.findall(r"uses: (.*)", TEXTS[name])
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action


MAY = {
    ("preview", "preview"): {"contents": "read"},
    ("preview", "comment"): {"pull-requests": "write"},
    ("preview", "engine"): {"contents": "read", "id-token": "write"},
    ("drift", "look"): {"contents": "read", "id-token": "write"},
    ("drift", "report"): {"issues": "write"},
}


def test_each_job_may_do_what_it_has_to_and_no_more() -> None:
    assert all(WORKFLOWS[name]["permissions"] == {} for name in NAMES)
    assert {job: told["permissions"] for job, told in JOBS.items()} == MAY


def test_what_may_write_runs_nothing_of_the_repository() -> None:
    for job, told in JOBS.items():
        may_write = {"pull-requests", "issues"} & told["permissions"].keys()
        checks_out = any("actions/checkout" in step.get("uses", "") for step in told["steps"])
        assert checks_out != bool(may_write), job


def test_no_script_has_an_expression_in_its_text() -> None:
    for _, _, text in scripts():
        assert "${{" not in text


@pytest.mark.parametrize("job", [("preview", "engine"), ("drift", "look")])
def test_aws_is_asked_by_a_role_only_where_a_variable_names_one(job: tuple[str, str]) -> None:
    told = JOBS[job]
    assert "vars.AWS_ROLE_ARN != ''" in told["if"]
    (role,) = [step for step in told["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert role["with"]["role-to-assume"] == "${{ vars.AWS_ROLE_ARN }}"
    (engine,) = [step for step in told["steps"] if "pulumi/actions" in step.get("uses", "")]
    assert engine["with"] == {"pulumi-version": version("pulumi")}


def test_without_a_role_there_is_still_a_comment_and_no_aws() -> None:
    for job in ("preview", "comment"):
        told = JOBS["preview", job]
        assert "AWS" not in json.dumps(told)
    assert "if" not in JOBS["preview", "preview"]


def test_code_of_a_fork_never_gets_the_role_or_a_token_that_writes() -> None:
    for job in ("comment", "engine"):
        assert "head.repo.full_name == github.repository" in JOBS["preview", job]["if"]


@pytest.mark.parametrize(("name", "job", "text"), list(scripts()))
def test_scripts_are_valid_and_their_files_and_modules_exist(name: str, job: str, text: str) -> None:
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    for file in re.findall(r"(?<!\S)(\.ci/\w+)", text):
        assert os.access(ROOT / file, os.X_OK)
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


FAKE = """#!{python}
import json, os, sys
from pathlib import Path
name = Path(sys.argv[0]).name
with open("calls", "a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
{body}
"""


def run(text: str, folder: Path, fakes: Mapping[str, str], **environment: str) -> list[list[str]]:
    """Run a script as GitHub does, with fakes of some programs; the fakes' calls, each with its arguments."""
    programs = folder / "programs"
    programs.mkdir()
    for name, body in fakes.items():
        fake = folder / name if "/" in name else programs / name
        fake.parent.mkdir(parents=True, exist_ok=True)
        fake.write_text(FAKE.format(python=sys.executable, body=body), encoding="utf-8")
        fake.chmod(0o755)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (folder / "step.sh").write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "step.sh"],
        cwd=folder,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = folder / "calls"
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def change(name: str, *keys: str, region: str = "eu-west-1") -> dict[str, Any]:
    return {"type": "aws:ec2/vpc:Vpc", "name": name, "region": region, "keys": list(keys)}


def told(**changes: Any) -> dict[str, Any]:
    """A preview's JSON, with what it changes."""
    none = {"against": "origin/main", "added": [], "removed": [], "changed": [], "usd_per_hour": 0.0}
    return {
        "resources": [{"type": "aws:ec2/vpc:Vpc"}, {"type": "isochrone:infra:Network"}],
        "cost_per_hour": 2.3518,
        "cost_per_month": 1716.8,
        "cost_notes": ["prices of 2026-03-01"],
        "warnings": [],
        "changes": {**none, **changes},
    }


PREVIEW = f"""
if sys.argv[2] == "geo-i":
    sys.exit("error: Pulumi.geo-i.yaml: it is wrong")
print({json.dumps(json.dumps(told()))})
"""


def test_every_stack_is_previewed_by_commands_that_the_command_line_takes(tmp_path: Path) -> None:
    for file in ROOT.glob("Pulumi.*.yaml"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    fakes = {".venv/bin/isochrone": PREVIEW, "git": "sys.exit(1)"}
    calls = run(script("preview", "preview", "isochrone preview"), tmp_path, fakes, BASE="origin/main")
    asked = {call[2]: call[1:] for call in calls if call[0] == "isochrone"}
    assert asked.keys() == {"baseline", "geo-i", "geo-ii", "image"}
    for words in asked.values():
        command: Any = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
        context = command.make_context("preview", words[1:])
        assert context.params["as_json"]
        assert context.params["against"] == "origin/main"
    posted = (tmp_path / "comment.md").read_text(encoding="utf-8")
    assert "| `baseline` | 1 | 0 | 0 | 0 | 2.352 | 1,717 | +0.000 |" in posted
    assert "**`geo-i` has no preview:**\n\n```text\nerror: Pulumi.geo-i.yaml: it is wrong\n```" in posted
    assert (tmp_path / "summary").read_text(encoding="utf-8") == posted
    assert (tmp_path / "output").read_text(encoding="utf-8") == "failed=1\n"


@pytest.mark.parametrize(("there", "options"), [(False, 2), (True, 0)])
def test_an_image_is_previewed_with_a_snapshot_until_it_has_one(
    tmp_path: Path, there: bool, options: int
) -> None:
    image = "config:\n  isochrone:snapshot: snap-0aaaaaaaaaaaaaaaa\n"
    (tmp_path / "Pulumi.image.yaml").write_text(image, encoding="utf-8")
    fakes = {".venv/bin/isochrone": PREVIEW, "git": f"print({image!r})" if there else "sys.exit(1)"}
    calls = run(script("preview", "preview", "isochrone preview"), tmp_path, fakes, BASE="origin/main")
    (asked,) = [call for call in calls if call[0] == "isochrone"]
    assert asked[1:6] == ["preview", "image", "--json", "--against", "origin/main"]
    assert len(asked[6:]) == options


@pytest.mark.parametrize(
    ("before", "method", "path"),
    [("", "POST", "repos/o/r/issues/7/comments"), ("11\n12", "PATCH", "repos/o/r/issues/comments/11")],
)
def test_there_is_one_comment(tmp_path: Path, before: str, method: str, path: str) -> None:
    text = script("preview", "comment", "gh api")
    assert f'startswith("{MARKER}")' in text
    fakes = {"gh": f"if '--jq' in sys.argv: print({before!r})"}
    *_, wrote = run(text, tmp_path, fakes, REPOSITORY="o/r", NUMBER="7", GH_TOKEN="x")
    assert wrote == ["gh", "api", "--silent", "--method", method, path, "-F", "body=@comment.md"]


STACKS = json.dumps([{"name": "organization/isochrone/baseline"}, {"name": "geo-ii"}])


def test_the_stacks_that_are_there_are_previewed_by_the_engine(tmp_path: Path) -> None:
    fakes = {"pulumi": f"if sys.argv[1] == 'stack': print({STACKS!r})\nelse: print('as it is')"}
    calls = run(script("preview", "engine", "pulumi preview"), tmp_path, fakes)
    assert [call[1:4] for call in calls[1:]] == [
        ["preview", "--stack", "baseline"],
        ["preview", "--stack", "geo-ii"],
    ]
    assert "### baseline\n```\nas it is\n```" in (tmp_path / "summary").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("why", "what"),
    [
        ("no changes were expected but changes occurred", "has drifted"),
        ("no credentials", "could not be compared"),
    ],
)
def test_a_stack_that_has_drifted_is_reported(tmp_path: Path, why: str, what: str) -> None:
    text = script("drift", "look", "pulumi refresh")
    stacks = f"if sys.argv[1] == 'stack': print({STACKS!r})"
    engine = f"{stacks}\nelif 'geo-ii' in sys.argv: sys.exit('error: ' + {why!r})"
    calls = run(text, tmp_path, {"pulumi": engine})
    refresh = ["pulumi", "refresh", "--stack", "geo-ii", "--preview-only", "--expect-no-changes"]
    assert calls[-1][:6] == refresh
    assert (tmp_path / "output").read_text(encoding="utf-8") == "found=geo-ii\n"
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report == f"### `geo-ii` {what}\n```\nerror: {why}\n```\n"


def test_no_stack_and_no_drift_is_no_report(tmp_path: Path) -> None:
    fakes = {"pulumi": "if sys.argv[1] == 'stack': print('[]')"}
    run(script("drift", "look", "pulumi refresh"), tmp_path, fakes)
    assert (tmp_path / "output").read_text(encoding="utf-8") == "found=\n"
    assert not (tmp_path / "report.md").exists()


@pytest.mark.parametrize(("there", "then"), [("", ["create", "--title", "T"]), ("9", ["edit", "9"])])
def test_there_is_one_issue(tmp_path: Path, there: str, then: list[str]) -> None:
    fakes = {"gh": f"if '--jq' in sys.argv: print({there!r})"}
    (tmp_path / "report.md").write_text("x", encoding="utf-8")
    *_, wrote = run(script("drift", "report", "gh issue"), tmp_path, fakes, TITLE="T", RUN="R")
    assert wrote == ["gh", "issue", *then, "--body-file", "report.md"]
    assert "Found by R" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_comment_says_what_is_added_removed_and_changed() -> None:
    differing = told(
        added=[change("new", region="")],
        removed=[change("old")],
        changed=[change("it", "tags")],
        usd_per_hour=-0.5,
    )
    text = comment({"geo-ii": differing}, {})
    assert text.startswith(MARKER)
    assert "| `geo-ii` | 1 | 1 | 1 | 1 | 2.352 | 1,717 | -0.500 |" in text
    assert "```diff\n- Vpc old (eu-west-1)\n+ Vpc new (global)\n! Vpc it (eu-west-1): tags\n```" in text
    assert "- Cost: prices of 2026-03-01." in text


def test_what_has_no_cost_has_none_in_a_comment() -> None:
    image = {**told(), "cost_per_hour": None, "cost_per_month": None, "cost_notes": []}
    assert "| `image` | 1 | 0 | 0 | 0 |  |  |  |" in comment({"image": image}, {})


def test_a_comment_stays_within_what_github_takes_and_says_what_is_left_out() -> None:
    much = told(changed=[change("x" * 300, "y" * 300) for _ in range(1000)])
    text = comment({f"stack-{number}": much for number in range(6)}, {"bad": "z\n" * 1000})
    assert len(text) < 65_536
    assert "... and 958 more" in text


def test_names_from_a_pull_request_cannot_end_a_block() -> None:
    text = comment({"geo-ii": told(added=[change("a\n```\n@everybody")])}, {"bad": "```\n@all"})
    assert [line for line in text.splitlines() if line.startswith("```")] == [
        "```text",
        "```",
        "```diff",
        "```",
    ]
