"""A stack's configuration by full key, and what it describes: an architecture or machine images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra import strict_yaml
from infra.architecture import Architecture
from infra.declaration import PROJECT
from infra.image_spec import ImageSpec, image_from_config, is_image
from infra.stackfile import load, parse, stack_path


def read_config(stack: str, root: Path) -> Mapping[str, Any]:
    """The configuration in `Pulumi.<stack>.yaml` in `root`, keys without a namespace in the project's.

    Raises:
        StackFileError: when there is no such file, or it is no stack file.
    """
    try:
        document = strict_yaml.read(stack_path(stack, root).read_text(encoding="utf-8"))
        config = document["config"]
        return {key if ":" in key else f"{PROJECT}:{key}": value for key, value in config.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError):
        # It is no stack file, and this says why.
        load(stack, root)
        raise


def described_by(stack: str, config: Mapping[str, Any]) -> Architecture | ImageSpec:
    """What a stack's configuration describes.

    Raises:
        StackFileError: with every mistake, each with its key.
    """
    if is_image(config):
        return image_from_config(stack, config)
    return parse(stack, yaml.safe_dump({"config": dict(config)}))
