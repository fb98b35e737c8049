"""Runs the program with the real engine and the real AWS provider against a moto server on loopback.

    python -m tests.engine.run [STACK ...]

For each stack: made, made again without a change, read back, taken down, and nothing left. Exits with 0 when
all of that is so, with 1 when it is not, and with 77 when the engine or the provider is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

from infra.regions import REGIONS
from tests.engine import plan

ROOT: Final = Path(__file__).parents[2]
STEP_TIMEOUT_S: Final = 3600


class EngineError(Exception):
    """A step failed, or something is left."""


def main(stacks: Sequence[str]) -> int:
    """Try the stacks, all of them when none is named; the exit status."""
    if unknown := set(stacks) - set(plan.STACKS):
        _say(f"there is no stack {', '.join(sorted(unknown))}; there are {', '.join(plan.STACKS)}")
        return 2
    pulumi, provider = shutil.which("pulumi"), shutil.which("pulumi-resource-aws")
    if why := plan.missing(pulumi, _plugins(), version("pulumi-aws"), provider):
        _say(f"NOT TRIED: {why}")
        return plan.NOT_INSTALLED
    failed = []
    for stack in stacks or plan.STACKS:
        try:
            _try(stack)
        except EngineError as error:
            _say(f"{stack}: FAILED: {error}")
            failed.append(stack)
    _say(f"failed: {', '.join(failed)}" if failed else "all of it holds")
    return 1 if failed else 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _plugins() -> str:
    if shutil.which("pulumi") is None:
        return ""
    listed = subprocess.run(
        ["pulumi", "plugin", "ls", "--json"], capture_output=True, text=True, check=False, timeout=60
    )
    return listed.stdout if listed.returncode == 0 else ""


def _try(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    os.environ.update(plan.SERVER)
    from tests.engine.server import serving  # noqa: PLC0415 - reads the environment when it is imported

    with TemporaryDirectory(prefix="isochrone-engine-") as folder, serving() as endpoint:
        project, state = Path(folder) / "project", Path(folder) / "state"
        state.mkdir()
        _copy(project)
        (project / f"Pulumi.{stack}.yaml").write_text(
            plan.stack_file(stack, text, endpoint), encoding="utf-8"
        )
        if stack != "image":
            _register_images(endpoint, plan.image_tag(text))
        before = _inventory(endpoint)
        environment = plan.environment(os.environ, state)
        for step in plan.steps(stack):
            began = monotonic()
            _say(f"{stack}: pulumi {' '.join(step.arguments)}")
            _pulumi(step, project, environment)
            _say(f"{stack}: {step.shows} ({monotonic() - began:.0f} s)")
        if left := _inventory(endpoint) ^ before:
            raise EngineError("left, or gone that was there before: " + ", ".join(sorted(left)))
        _say(f"{stack}: nothing is left")


def _copy(project: Path) -> None:
    """The project as the engine finds it, without its stack files: it never writes into this checkout."""
    project.mkdir()
    for name in plan.COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, project / name)
    (project / ".venv").symlink_to(ROOT / ".venv")


def _pulumi(step: plan.Step, project: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["pulumi", *step.arguments],
        cwd=project,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT_S,
    )
    if done.returncode:
        raise EngineError(f"not so: {step.shows}\n{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}")


@cache
def _client(service: str, region: str, endpoint: str) -> Any:
    import boto3  # noqa: PLC0415 - a second that a machine without an engine need not wait for

    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _register_images(endpoint: str, tag: str) -> None:
    """The machine images that an architecture's stack looks up: there before it, and after it."""
    for region in REGIONS:
        ec2 = _client("ec2", region, endpoint)
        image = ec2.register_image(Name=f"isochrone-{tag}", RootDeviceName="/dev/xvda")["ImageId"]
        tags = {"isochrone:image": tag, "isochrone:tested": "true"}
        ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])


def _inventory(endpoint: str) -> set[str]:
    return {
        f"{listing.operation.partition('_')[2]} {name} in {region}"
        for listing in plan.INVENTORIES
        for region in listing.regions()
        for name in listing.names(_all_pages(listing, region, endpoint))
    }


def _all_pages(listing: plan.Inventory, region: str, endpoint: str) -> dict[str, Any]:
    client = _client(listing.service, region, endpoint)
    arguments = dict(listing.arguments)
    if client.can_paginate(listing.operation):
        pages = client.get_paginator(listing.operation).paginate(**arguments)
        return {listing.items: [item for page in pages for item in page[listing.items]]}
    answer: dict[str, Any] = getattr(client, listing.operation)(**arguments)
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
