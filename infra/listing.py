"""Declared resources as text whose differences a reviewer reads: a block each, always in the same order."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from infra.declaration import Declaration, Declared


def listing(declaration: Declaration) -> str:
    """All resources and exports, a block each, their keys sorted and texts of JSON opened."""
    blocks = [_block(resource) for resource in declaration.resources]
    return "\n".join([*blocks, "exports\n" + _indented(_opened(declaration.exports))])


_FACTS: Final = (
    "title",
    "resolves_to",
    "reads_live_from",
    "reads_from",
    "replicas",
    "peerings",
    "open_to_the_world",
    "quotas",
    "cost_per_hour",
    "cost_per_month",
    "warnings",
)


def facts(preview: Mapping[str, Any]) -> str:
    """What a preview says besides resources, from its JSON: what a change of them means."""
    return "preview\n" + _indented({key: preview[key] for key in _FACTS})


def _block(resource: Declared) -> str:
    head = f"{resource.type} {resource.name}"
    facts: dict[str, Any] = {}
    if resource.parent:
        facts["parent"] = resource.parent
    if resource.protect:
        facts["protect"] = True
    return f"{head}\n{_indented(facts)}{_indented(_opened(resource.inputs))}"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and nothing by reference to something above."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _indented(value: Mapping[str, Any]) -> str:
    if not value:
        return ""
    text = yaml.dump(value, Dumper=_Dumper, width=10_000, allow_unicode=True, default_flow_style=False)
    return "".join(f"  {line}".rstrip() + "\n" for line in text.splitlines())


def _opened(value: Any) -> Any:
    """The value with every text that is JSON, also in base64, replaced by what it says."""
    if isinstance(value, Mapping):
        return {key: _opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(item) for item in value]
    if isinstance(value, str):
        for text in (value, _decoded(value)):
            if text.startswith(("{", "[")):
                try:
                    return _opened(json.loads(text))
                except ValueError:
                    return value
    return value


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
