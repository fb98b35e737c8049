"""YAML in which a key stands once: of two that are alike, PyYAML takes the last and says nothing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, "a key is there twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def read(text: str) -> Any:
    """What a text of YAML says.

    Raises:
        yaml.YAMLError: when it is not YAML, has a key twice, or a value that cannot be.
    """
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - a safe loader
    except ValueError as error:
        # Of a number with too many digits, or a date that there is not.
        raise yaml.YAMLError(str(error)) from error
