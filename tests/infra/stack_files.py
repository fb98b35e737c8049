"""The project's stack files, for tests that change them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.errors import StackFileError
from infra.stackfile import parse

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")


def config_of(stack: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return config


def text_of(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"config": dict(config)})


def engine_form(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration as the engine hands it to a program: texts, and JSON for what has keys below it."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


def edited(stack: str, **changes: Any) -> str:
    """The text of a stack file with some of its top keys replaced (None removes)."""
    config = config_of(stack)
    for key, value in changes.items():
        name = "isochrone:" + key.replace("_", "-")
        if value is None:
            config.pop(name)
        else:
            config[name] = value
    return text_of(config)


def mistakes(stack: str, **changes: Any) -> list[str]:
    with pytest.raises(StackFileError) as caught:
        parse("changed", edited(stack, **changes))
    return list(caught.value.mistakes)


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with values set below their keys: `nodes.scaling.minimum`."""
    result = deepcopy(dict(config))
    for key, value in changes.items():
        top, *below = key.split(".")
        at, last = result, "isochrone:" + top
        for part in below:
            at, last = at.setdefault(last, {}), part
        at[last] = value
    return result
