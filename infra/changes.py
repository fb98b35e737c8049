"""What differs between two previews of a stack: what a reviewer of a change asks first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, order=True)
class Changed:
    """A resource of which there is another than before, and the keys of its inputs that differ."""

    type: str
    name: str
    region: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What a change adds, removes and changes, and what it does to the hourly cost in US dollars."""

    against: str
    added: tuple[Changed, ...]
    removed: tuple[Changed, ...]
    changed: tuple[Changed, ...]
    usd_per_hour: float

    def as_json(self) -> dict[str, Any]:
        """The changes for programs."""
        return {**asdict(self), "usd_per_hour": round(self.usd_per_hour, 4)}


def changes(against: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """What is different in the preview `after` from the preview `before`, both as their JSON.

    A resource is the same one when its type and name are; `before` may be empty when there was no such stack.
    """
    old, new = _by_name(before), _by_name(after)
    return Changes(
        against,
        tuple(_named(new[key]) for key in sorted(new.keys() - old.keys())),
        tuple(_named(old[key]) for key in sorted(old.keys() - new.keys())),
        tuple(
            _named(new[key], tuple(_differing(old[key], new[key])))
            for key in sorted(new.keys() & old.keys())
            if old[key] != new[key]
        ),
        (after.get("cost_per_hour") or 0) - (before.get("cost_per_hour") or 0),
    )


def _by_name(preview: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(each["type"], each["name"]): each for each in preview.get("resources", ())}


def _named(resource: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Changed:
    return Changed(resource["type"], resource["name"], resource["region"], keys)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in ("parent", "protect"):
        if old[key] != new[key]:
            yield key
    for key in sorted(old["inputs"].keys() | new["inputs"].keys()):
        if old["inputs"].get(key) != new["inputs"].get(key):
            yield key
