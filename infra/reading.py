"""Reads single values of a stack's configuration by their keys, whatever is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

_WRONG: Final = object()
"""Stands for a value that is wrong, or missing though it has no default."""


class Reading:
    """The values of a configuration, each by its key, as the fields of a dataclass would have them.

    A key is written as a mistake names it: `nodes.scaling.minimum`, `nodes.schedules.0.start`.

    Args:
        kind: the dataclass that describes the configuration.
        values: the configuration, by the keys of the fields.
    """

    def __init__(self, kind: type, values: Mapping[str, Any]) -> None:
        self._values = values
        self._read = _tolerant(kind, values)

    def read(self, *keys: str) -> tuple[Any, ...] | None:
        """The values of all those keys; None when one of them is wrong, or missing without a default.

        A key below one that may be left out, and is, has the value None.
        """
        found = tuple(self._value(key) for key in keys)
        return None if _WRONG in found else found

    def given(self, key: str) -> bool:
        """Whether the configuration has the key, be its value right or wrong."""
        value: Any = self._values
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return False
            value = value[part]
        return value is not None

    def items(self, key: str) -> Iterator[str]:
        """The keys of a list's items: `nodes.schedules.0` and so on."""
        value = self._value(key)
        if isinstance(value, list | tuple):
            yield from (f"{key}.{number}" for number in range(len(value)))

    def _value(self, key: str) -> Any:
        value = self._read
        for part in key.split("."):
            if value is None or value is _WRONG:
                return value
            if isinstance(value, list):
                value = value[int(part)]
            elif isinstance(value, dict):
                value = value[part]
            else:
                value = getattr(value, part.replace("-", "_"))
        return value


def _tolerant(hint: Any, raw: Any) -> Any:
    """What `raw` says, down to single values: dataclasses as dictionaries, wrong values as `_WRONG`."""
    kind = _dataclass_in(hint)
    if kind and isinstance(raw, Mapping):
        hints = get_type_hints(kind, include_extras=True)
        return {
            field.alias: _tolerant(hints[name], raw[field.alias])
            if field.alias in raw
            else (_WRONG if field.is_required() else field.get_default(call_default_factory=True))
            for name, field in kind.__pydantic_fields__.items()
        }
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(plain) is tuple and isinstance(raw, list) and _dataclass_in(get_args(plain)[0]):
        return [_tolerant(get_args(plain)[0], item) for item in raw]
    try:
        return _adapter(hint).validate_python(raw, by_name=False)
    except ValidationError:
        return _WRONG


def _dataclass_in(hint: Any) -> Any:
    """The dataclass that a field holds, be it optional or not; None when it holds another thing."""
    alternatives = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    return next((each for each in alternatives if isinstance(each, type) and is_dataclass(each)), None)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)
