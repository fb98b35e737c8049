"""The test under the real engine itself: a stand-in for the engine makes what it is told, or fails to."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENGINE = """#!{python}
import json, os, sys
from pathlib import Path
import boto3, yaml
command, mode = sys.argv[1], os.environ["STAND_IN"]
with open(os.environ["STAND_IN_LOG"], "a") as log:
    print(Path.cwd().name, *sys.argv[1:], file=log)
if command == "plugin":
    print(json.dumps([{{"name": "aws", "version": "{version}"}}]))
    sys.exit()
if "--expect-no-changes" in sys.argv and mode == "changes":
    print("there are changes")
    sys.exit(1)
assert Path("Pulumi.yaml").is_file() and Path("__main__.py").is_file() and Path("infra/program.py").is_file()
config = yaml.safe_load(Path("Pulumi.baseline.yaml").read_text())["config"]
ec2 = boto3.client(
    "ec2", region_name="sa-east-1", endpoint_url=config["aws:endpoints"][0]["ec2"],
    aws_access_key_id=config["aws:accessKey"], aws_secret_access_key=config["aws:secretKey"],
)
if command == "up" and not Path("vpc").exists():
    assert ec2.describe_images(Filters=[{{"Name": "tag:isochrone:tested", "Values": ["true"]}}])["Images"]
    Path("vpc").write_text(ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
if command == "destroy" and mode != "leaves":
    ec2.delete_vpc(VpcId=Path("vpc").read_text())
"""


def run(folder: Path, mode: str) -> tuple[int, str, list[str]]:
    """The exit status, the output and the engine's calls, with an engine that works in that mode."""
    engine, log = folder / "pulumi", folder / "log"
    engine.write_text(ENGINE.format(python=sys.executable, version=version("pulumi-aws")))
    engine.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.run", "baseline"],
        cwd=ROOT,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "STAND_IN": mode, "STAND_IN_LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    return done.returncode, done.stdout + done.stderr, log.read_text().splitlines()


def test_a_stack_that_comes_and_goes_passes(tmp_path: Path) -> None:
    status, output, calls = run(tmp_path, "works")
    assert (status, "baseline: nothing is left" in output) == (0, True), output
    kinds = ["stack", "up", "up", "config", "up", "config", "up", "refresh", "destroy"]
    assert [call.split()[1] for call in calls[1:]] == kinds
    assert {call.split()[0] for call in calls[1:]} == {"project"}


def test_what_is_left_fails_with_its_name(tmp_path: Path) -> None:
    status, output, _ = run(tmp_path, "leaves")
    assert status == 1
    assert "vpcs vpc-" in output
    assert "in sa-east-1" in output


def test_a_second_run_that_changes_something_fails(tmp_path: Path) -> None:
    status, output, calls = run(tmp_path, "changes")
    assert status == 1
    assert "not so: a second time nothing changes" in output
    assert "there are changes" in output
    assert calls[-1].split()[1] == "up"


def test_without_the_engine_nothing_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.run"],
        cwd=ROOT,
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 77
    assert done.stdout.startswith("NOT TRIED: the program `pulumi` is not installed")


def test_a_stack_that_is_not_there_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.run", "nope"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "there are image, baseline, geo-i, geo-ii" in done.stdout
