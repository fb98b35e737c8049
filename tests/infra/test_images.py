"""A stack's machines start from the newest tested image of the tag that the stack names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pytest
from moto import mock_aws

from infra.images import image_id
from infra.offline import OfflineError, declare
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
REGION = "sa-east-1"
TESTED = {"isochrone:image": "current", "isochrone:tested": "true"}


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def register(ec2: Any, name: str, tags: Mapping[str, str]) -> str:
    image: str = ec2.register_image(Name=name, RootDeviceName="/dev/xvda")["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return image


def found(tag: str = "current") -> str:
    """The image that a stack of that tag would use, by AWS's own look-up."""
    site = Site(replace(load("geo-i", ROOT), image=tag))
    declaration = declare("geo-i", {}, lambda: pulumi.export("image", image_id(site, REGION)), look_up)
    return str(declaration.exports["image"])


def look_up(token: str, args: Mapping[str, Any]) -> dict[str, Any]:
    assert token == "aws:ec2/getAmiIds:getAmiIds"
    images = boto3.client("ec2", region_name=args["region"]).describe_images(
        Owners=args["owners"],
        Filters=[{"Name": each["name"], "Values": each["values"]} for each in args["filters"]],
    )["Images"]
    newest = sorted(images, key=lambda image: str(image["CreationDate"]), reverse=True)
    return {**args, "id": "x", "ids": [image["ImageId"] for image in newest]}


def test_an_image_is_found_by_its_tag(ec2: Any) -> None:
    image = register(ec2, "one", TESTED)
    register(ec2, "other", {**TESTED, "isochrone:image": "v1"})
    assert found() == image


def test_an_image_that_is_not_tested_is_not_used(ec2: Any) -> None:
    register(ec2, "first", {**TESTED, "isochrone:tested": "false"})
    register(ec2, "second", {"isochrone:image": "current"})
    with pytest.raises(OfflineError, match="has no tested machine image"):
        found()
    tested = register(ec2, "third", TESTED)
    assert found() == tested


@pytest.mark.usefixtures("ec2")
def test_without_an_image_it_says_what_to_run() -> None:
    with pytest.raises(OfflineError) as caught:
        found("v7")
    assert "sa-east-1 has no tested machine image with the tag 'v7'" in str(caught.value)
    assert "pulumi up -s image" in str(caught.value)


def test_the_newest_of_several_is_used() -> None:
    def two(_: str, args: Mapping[str, Any]) -> dict[str, Any]:
        return {**args, "id": "x", "ids": ["ami-newest", "ami-older"]}

    site = Site(load("geo-i", ROOT))
    declaration = declare("geo-i", {}, lambda: pulumi.export("image", image_id(site, REGION)), two)
    assert declaration.exports["image"] == "ami-newest"
