"""The image stack registers snapshots at home, copies them everywhere, and refuses a wrong file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ami.commands import KEEP
from infra.declaration import Declaration, of_type
from infra.errors import StackFileError
from infra.image_spec import ImageSpec, image_from_config, is_image
from infra.image_stack import declare_images
from infra.offline import declare, engine_config
from infra.regions import REGIONS
from infra.stack_config import read_config

ROOT = Path(__file__).parents[2]
SNAPSHOT = "snap-0123456789abcdef0"
EARLIER = {"snapshot": "snap-0fedcba987654321f", "image": "v1", "tested": True, "tree": "9ffeade"}
AMI = "aws:ec2/ami:Ami"
COPY = "aws:ec2/amiCopy:AmiCopy"


def config(**changes: Any) -> dict[str, Any]:
    """The image stack's file with its snapshot and other keys set; None removes a key."""
    given = {"snapshot": SNAPSHOT, **changes}
    values = {
        **read_config("image", ROOT),
        **{f"isochrone:{k.replace('_', '-')}": v for k, v in given.items()},
    }
    return {key: value for key, value in values.items() if value is not None}


def spec(**changes: Any) -> ImageSpec:
    return image_from_config("image", config(**changes))


def mistakes(**changes: Any) -> list[str]:
    with pytest.raises(StackFileError) as caught:
        spec(**changes)
    return list(caught.value.mistakes)


@pytest.fixture(scope="module")
def declared() -> Declaration:
    described = spec(tested=SNAPSHOT, version="1.2.0", tree="0639388", previous=[EARLIER])
    return declare("image", config(), lambda: declare_images(described))


def test_every_region_of_the_comparison_gets_the_image() -> None:
    assert set(spec().regions) == set(REGIONS)


def test_the_file_asks_for_the_snapshot_that_it_cannot_know() -> None:
    (mistake,) = mistakes(snapshot=None)
    assert mistake.startswith("isochrone:snapshot: is missing")
    assert "pulumi config set isochrone:snapshot snap-... -s image" in mistake


def usable(**changes: Any) -> list[bool]:
    return [image.tested for image in spec(**changes).images]


def test_an_image_is_not_used_before_its_own_snapshot_is_said_to_be_tested() -> None:
    assert usable() == [False]
    assert usable(tested=SNAPSHOT) == [True]


def test_that_an_image_was_tested_says_nothing_of_the_next_one() -> None:
    assert usable(tested=EARLIER["snapshot"]) == [False]
    assert usable(tested=EARLIER["snapshot"], previous=[EARLIER]) == [False, True]


@pytest.mark.parametrize("said", [True, False, "true", "false", "snap-...", ""])
def test_to_say_tested_without_the_snapshot_is_refused_with_what_to_write(said: Any) -> None:
    (mistake,) = mistakes(tested=said)
    assert mistake.startswith("isochrone:tested: names the snapshot of the disk that was booted and checked")
    assert "pulumi config set isochrone:tested snap-... -s image" in mistake
    assert mistake.endswith(f"(it is {said!r})")


def test_an_earlier_image_is_kept_as_the_commands_write_it() -> None:
    written: dict[str, Any] = {}
    for command in KEEP:
        _, path, value = re.fullmatch(r"(pulumi config set --path) '(\S+)' (.+) -s image", command).groups()  # type: ignore[union-attr]
        (key,) = re.findall(r"^isochrone:previous\[0\]\.(\w+)$", path)
        written[key] = {"true": True}.get(value, value)
    assert written.pop("snapshot") == '"$(pulumi config get isochrone:snapshot -s image)"'
    kept = spec(previous=[{"snapshot": EARLIER["snapshot"], **written}]).images[1]
    assert (kept.snapshot, kept.image, kept.tested) == (EARLIER["snapshot"], "before", True)


def test_an_image_that_is_kept_is_the_one_that_was_there() -> None:
    """So that a move into the list changes its tags, and deregisters nothing that a template names."""

    def registered(described: ImageSpec) -> dict[str, tuple[Any, Any]]:
        found = declare("image", config(), lambda: declare_images(described)).resources
        return {
            r.name: (r.inputs["name"], r.inputs["tags"])
            for r in [*of_type(found, AMI), *of_type(found, COPY)]
        }

    old = EARLIER["snapshot"]
    before = registered(spec(snapshot=old, tested=old))
    after = registered(spec(tested=old, previous=[{"snapshot": old, "image": "before", "tested": True}]))
    assert set(before) < set(after)
    for name, (physical, asked) in before.items():
        assert after[name][0] == physical
        assert (asked["isochrone:image"], after[name][1]["isochrone:image"]) == ("current", "before")


def test_every_mistake_is_reported_at_once_with_its_key() -> None:
    found = mistakes(
        snapshot="snap-...",
        home="eu-west-9",
        size_gib=0,
        tree="main",
        snapshots=[],
        regions=["us-east-1", "us-east-1"],
        previous=[{"image": "v1"}, {"image": "v1", "snapshot": SNAPSHOT}],
    )
    assert {mistake.split(": ")[0] for mistake in found} == {
        "isochrone:snapshot",
        "isochrone:home",
        "isochrone:size-gib",
        "isochrone:tree",
        "isochrone:snapshots",
        "isochrone:previous.0.snapshot",
        "isochrone:regions",
        "isochrone:previous",
    }


def test_a_text_that_only_looks_like_a_list_is_a_mistake_and_no_traceback() -> None:
    assert mistakes(image='{"abc')[0].startswith("isochrone:image: ")


def test_regions_in_an_architecture_s_file_are_a_mistake_and_make_it_no_image_stack() -> None:
    assert not is_image({"isochrone:regions": ["eu-west-1"], "isochrone:nodes": {}})


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"regions": ["us-east-1"]}, "isochrone:regions: lacks home (eu-west-1), where the snapshot is"),
        ({"regions": ["eu-west-1", "eu-west-1"]}, "isochrone:regions: names a region twice"),
        (
            {"previous": [{"snapshot": SNAPSHOT, "image": "v1"}]},
            f"isochrone:previous: snapshot {SNAPSHOT} is there twice; each image needs its own",
        ),
        (
            {"previous": [{"snapshot": EARLIER["snapshot"]}]},
            "isochrone:previous: image current is there twice; each image needs its own",
        ),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], mistake: str) -> None:
    assert mistakes(**changes) == [mistake]


def test_more_earlier_images_than_are_kept_are_refused() -> None:
    many = [{"snapshot": f"snap-0000000{n}", "image": f"v{n}"} for n in range(5)]
    assert mistakes(previous=many)[0].startswith("isochrone:previous: ")


def test_the_engine_hands_over_the_same_as_the_file_says() -> None:
    full = config(tested=SNAPSHOT, previous=[EARLIER])
    handed, _ = engine_config(full)
    assert image_from_config("image", handed) == image_from_config("image", full)


def test_a_stack_is_one_of_images_by_what_its_file_says() -> None:
    assert is_image(config())
    assert not any(is_image(read_config(stack, ROOT)) for stack in ("baseline", "geo-i", "geo-ii"))


def test_each_snapshot_is_registered_at_home_and_copied_to_the_other_regions(declared: Declaration) -> None:
    registered = list(of_type(declared.resources, AMI))
    assert [(r.region, r.inputs["ebsBlockDevices"][0]["snapshotId"]) for r in registered] == [
        ("eu-west-1", SNAPSHOT),
        ("eu-west-1", EARLIER["snapshot"]),
    ]
    for image in registered:
        copies = [
            c for c in of_type(declared.resources, COPY) if c.inputs["sourceAmiId"] == f"{image.name}.id"
        ]
        assert {c.region for c in copies} == set(REGIONS) - {"eu-west-1"}
        assert {c.inputs["sourceAmiRegion"] for c in copies} == {"eu-west-1"}


def test_copies_are_encrypted(declared: Declaration) -> None:
    assert {copy.inputs["encrypted"] for copy in of_type(declared.resources, COPY)} == {True}


def test_machines_of_the_image_answer_metadata_requests_of_version_2_only(declared: Declaration) -> None:
    for image in of_type(declared.resources, AMI):
        assert image.inputs["imdsSupport"] == "v2.0"
        assert (image.inputs["virtualizationType"], image.inputs["bootMode"]) == ("hvm", "legacy-bios")
        assert image.inputs["enaSupport"] is True


def test_images_and_copies_say_what_is_in_them(declared: Declaration) -> None:
    for resource in [*of_type(declared.resources, AMI), *of_type(declared.resources, COPY)]:
        asked = resource.inputs["tags"]
        if SNAPSHOT in resource.name:
            assert (asked["isochrone:image"], asked["isochrone:tested"]) == ("current", "true")
            assert (asked["isochrone:version"], asked["isochrone:tree"]) == ("1.2.0", "0639388")
        else:
            assert (asked["isochrone:image"], asked["isochrone:tree"]) == ("v1", "9ffeade")


def test_another_disk_or_size_is_another_image() -> None:
    def name(**changes: Any) -> str:
        described = spec(**changes)
        found = declare("image", config(), lambda: declare_images(described)).resources
        return str(next(of_type(found, AMI)).inputs["name"])

    assert len({name(), name(size_gib=16), name(snapshot=EARLIER["snapshot"])}) == 3


def test_the_ids_are_exported_by_tag_and_region(declared: Declaration) -> None:
    images = declared.exports["images"]
    assert set(images) == {"current", "v1"}
    assert set(images["v1"]) == set(REGIONS)
