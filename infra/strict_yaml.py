"""YAML in which a key stands once: of two that are alike, PyYAML takes the last and says nothing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class NotYamlError(ValueError):
    """A text is not what this project takes for YAML."""


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
        NotYamlError: when it is not YAML, has a key twice, or a value that cannot be. The message says what
            and where, without the text of the line: it may hold what nobody should see.
    """
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise NotYamlError(f"{error.problem}{where}") from None
    except yaml.YAMLError:
        raise NotYamlError("it has a character that YAML does not allow") from None
    except ValueError:
        raise NotYamlError("it has a number or a time that there is not") from None
