"""The section `isochrone:load` of a stack file: a fleet, none, or a mistake with its key."""

from __future__ import annotations

from typing import Any

import pytest

from infra.architecture import LoadFleet
from infra.changes import changes
from infra.commands import preview_stack
from infra.errors import StackFileError
from infra.regions import REGIONS
from infra.stackfile import from_config, load, parse
from tests.infra.stack_files import ROOT, changed, config_of, engine_form, text_of


def test_there_is_no_load_fleet_unless_the_file_has_one() -> None:
    assert load("geo-ii", ROOT).load is None
    fleet = parse("geo-ii", text_of(changed(config_of("geo-ii"), {"load.per-region": 2}))).load
    assert fleet
    assert (fleet.per_region, fleet.instance_type, fleet.regions) == (2, "m3.medium", tuple(REGIONS))


def test_the_engine_hands_over_an_empty_section_as_the_default() -> None:
    config = config_of("baseline") | {"isochrone:load": {}}
    assert from_config("baseline", engine_form(config)).load == LoadFleet()


@pytest.mark.parametrize(
    ("changes", "key", "advice"),
    [
        ({"load.regions": ["moon-1"]}, "load.regions.0", "is not a region of the comparison"),
        ({"load.volume": {"size-gib": 10, "iops": 4000}}, "load.volume.iops", "at most 500"),
        ({"load": "yes"}, "load", "dictionary"),
        ({"load.users": 200}, "load.users", "is not a key"),
    ],
)
def test_a_mistake_is_told_with_its_key(changes: dict[str, Any], key: str, advice: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse("changed", text_of(changed(config_of("geo-i"), changes)))
    assert any(f"isochrone:{key}: " in mistake and advice in mistake for mistake in caught.value.mistakes)


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_a_fleet_that_comes_or_goes_replaces_no_machine_that_serves(stack: str) -> None:
    without, fleet = (
        preview_stack(stack, ROOT, over).as_json() for over in ({}, {"isochrone:load": {"per-region": 1}})
    )
    different = changes("without", without, fleet)
    assert different.removed == ()
    # The machine that serves as the ledger may write what it counted into the fleet's bucket.
    assert [each.type for each in different.changed] == ["aws:iam/rolePolicy:RolePolicy"]
