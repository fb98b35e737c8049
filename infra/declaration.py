"""What a run of the Pulumi program declares, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PROJECT: Final = "isochrone"
"""The Pulumi project: the namespace of its configuration and of its components."""

SECRET: Final = "[secret]"  # noqa: S105
"""What stands for a secret where it is not known, or must not be seen."""


@dataclass(frozen=True)
class Declared:
    """A resource that a program declares.

    Args:
        type: its type token; the component types begin with the project's name.
        name: its logical name.
        parent: the logical name of the component that it belongs to; empty at the top.
        region: the region that it is in; empty when it is global, or a component.
        protect: whether Pulumi refuses to delete it.
        inputs: what is asked for, by Pulumi's own keys, secrets redacted.
    """

    type: str
    name: str
    parent: str
    region: str
    protect: bool
    inputs: Mapping[str, Any]

    @property
    def is_component(self) -> bool:
        """Whether it only groups other resources."""
        return self.type.startswith(f"{PROJECT}:")


@dataclass(frozen=True)
class Declaration:
    """All that a program declares: its resources by type and name, its exports, and what it warned of."""

    resources: tuple[Declared, ...]
    exports: Mapping[str, Any]
    warnings: tuple[str, ...]


def of_type(resources: Sequence[Declared], type_: str) -> Iterator[Declared]:
    """The resources of one type, in order."""
    return (resource for resource in resources if resource.type == type_)
