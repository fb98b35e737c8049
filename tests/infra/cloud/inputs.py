"""A resource's inputs, each of which a handler has to take: what is left over was passed on to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi.runtime import rpc

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_tags


def plain(value: Any) -> Any:
    """The value without secret wrappings, whole numbers as integers and absent members left out."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


class Inputs:
    """Inputs by Pulumi's keys. Taking one marks it as passed on; `left` lists the others."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = plain(values)
        self._left = dict(self._values)
        self._parts: list[Inputs] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str) -> Any:
        """The value of a key that has to be there.

        Raises:
            RefusedError: when it is not.
        """
        if key not in self._values:
            raise RefusedError(f"{self.where}: needs {key}")
        self._left.pop(key, None)
        return self._values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key that may be left out."""
        return self.take(key) if key in self._values else default

    def params(self, **names: str) -> dict[str, Any]:
        """Those of the inputs that are given, under AWS's names: `params(cidrBlock="CidrBlock")`."""
        return {name: self.take(key) for key, name in names.items() if key in self._values}

    def part(self, key: str) -> Inputs | None:
        """A nested input whose members have to be taken too, if it is given."""
        if key not in self._values:
            return None
        return self._part(key, self.take(key))

    def parts(self, key: str) -> list[Inputs]:
        """A list of nested inputs; empty when it is not given."""
        return [self._part(f"{key}[{i}]", value) for i, value in enumerate(self.get(key, []))]

    def tags(self, key: str = "tags") -> dict[str, str]:
        """The tags, checked as AWS does; empty when there are none."""
        tags: dict[str, str] = self.get(key, {})
        check_tags(tags)
        return tags

    def only(self, key: str, *allowed: Any) -> None:
        """Takes an input that only steers the provider and has one of these values, or is left out."""
        if key in self._values and (value := self.take(key)) not in allowed:
            raise RefusedError(f"{self.where}: {key} may be {allowed}, not {value!r}")

    @property
    def left(self) -> list[str]:
        """The paths of the inputs that were not taken."""
        return list(self._paths())

    def _part(self, name: str, values: Mapping[str, Any]) -> Inputs:
        part = Inputs(f"{self.where}.{name}", values)
        part.name = name
        self._parts.append(part)
        return part

    name = ""

    def _paths(self) -> Iterator[str]:
        yield from self._left
        for part in self._parts:
            for path in part.left:
                yield f"{part.name}.{path}"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as most services want them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tagged(kind: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Tags as EC2 wants them when it makes something of a kind."""
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tag_list(tags)}]} if tags else {}
