"""From a disk to images in eight regions: the published snapshot is what the image stack registers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ami.strict_ebs import BLOCK, HOME, Ebs, strict_ebs, write_disk  # isort: skip

from typer.testing import CliRunner

from ami.commands import app
from infra.program import run
from infra.regions import REGIONS
from tests.infra.cloud.account import Account, open_account
from tests.infra.cloud.declared import Declared
from tests.infra.cloud.harness import declare

ROOT = Path(__file__).parents[2]
SIZE = 50 * BLOCK


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Account, Ebs]]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        open_account() as account,
        strict_ebs(monkeypatch, account) as ebs,
    ):
        yield account, ebs


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disk(tmp_path_factory.mktemp("disk") / "disk.raw", [0, 1, 7, 49], SIZE)


@pytest.fixture(scope="module")
def published(opened: tuple[Account, Ebs], disk: Path) -> dict[str, Any]:
    """What the command tells programs."""
    result = CliRunner().invoke(app, ["publish", str(disk), "--json"])
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def declared(opened: tuple[Account, Ebs], published: dict[str, Any]) -> Declared:
    """The image stack after what the command says was done: `pulumi config set KEY VALUE`, `pulumi up`."""
    account, _ = opened
    stack = yaml.safe_load((ROOT / "Pulumi.image.yaml").read_text(encoding="utf-8"))
    (setting,) = [command.split() for command in published["then"] if "config set" in command]
    assert setting[:3] == ["pulumi", "config", "set"]
    assert setting[5:] == ["-s", "image"]
    stack["config"][setting[3]] = setting[4]
    return declare("image", yaml.safe_dump(stack), account, run)


def image(declared: Declared, region: str) -> dict[str, Any]:
    (found,) = declared.client("ec2", region).describe_images(
        ImageIds=[declared.exports["images"]["current"][region]]
    )["Images"]
    return dict(found)


def test_every_region_has_the_image(declared: Declared) -> None:
    assert set(declared.exports["images"]["current"]) == set(REGIONS)
    assert len(REGIONS) == 8
    for region in REGIONS:
        assert image(declared, region)["State"] == "available"


def test_the_image_at_home_is_registered_from_the_published_snapshot(
    declared: Declared, published: dict[str, Any]
) -> None:
    (registered,) = declared.of_type("ec2/ami:Ami")
    assert registered.region == published["region"] == HOME
    (root,) = registered.inputs["ebsBlockDevices"]
    assert root["snapshotId"] == published["snapshot"]
    assert root["volumeSize"] >= published["size_gib"]


def test_the_others_are_encrypted_copies_of_it(declared: Declared) -> None:
    copies = declared.of_type("ec2/amiCopy:AmiCopy")
    assert {copy.region for copy in copies} == set(REGIONS) - {HOME}
    home = declared.exports["images"]["current"][HOME]
    assert {(copy.inputs["sourceAmiId"], copy.inputs["encrypted"]) for copy in copies} == {(home, True)}


def test_every_image_is_named_after_the_snapshot(declared: Declared, published: dict[str, Any]) -> None:
    assert {image(declared, region)["Name"] for region in REGIONS} == {
        f"isochrone-{published['snapshot']}-8gib"
    }


def test_the_registered_disk_has_the_very_same_bits(
    declared: Declared, opened: tuple[Account, Ebs], published: dict[str, Any], disk: Path
) -> None:
    _, ebs = opened
    assert ebs.disk(published["snapshot"], SIZE) == disk.read_bytes()
