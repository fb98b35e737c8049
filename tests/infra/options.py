"""Keeps the options with which resources of a type are declared, which mocks are not told."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest


def options(
    patch: pytest.MonkeyPatch, kind: type[pulumi.CustomResource]
) -> dict[str, pulumi.ResourceOptions]:
    """The options of the resources of a type that are declared from now on, by logical name."""
    found: dict[str, pulumi.ResourceOptions] = {}
    original = kind.__init__

    def init(self: Any, resource_name: str, **inputs: Any) -> None:
        found[resource_name] = inputs["opts"]
        original(self, resource_name, **inputs)

    patch.setattr(kind, "__init__", init)
    return found


def depended_on(found: pulumi.ResourceOptions) -> list[str]:
    """The logical names of what a resource says explicitly that it depends on."""
    named = found.depends_on
    assert isinstance(named, list)
    return [resource._name for resource in named]
