"""Reads an architecture from a stack's configuration; reports every mistake at once, with its key.

The configuration comes as the text of `Pulumi.<stack>.yaml`, or as the engine hands it to the program.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from infra import strict_yaml
from infra.architecture import Architecture
from infra.contradictions import contradictions
from infra.errors import StackFileError

NAMESPACE: Final = "isochrone:"

SECRETS: Final = "secrets"
"""The key of the values that are given as Pulumi secrets; they are no part of an architecture."""

NAMESPACES: Final = (NAMESPACE, "aws:", "pulumi:")
"""Whose keys a stack's configuration may have: the project's, the provider's and the engine's."""

_IMAGE_ONLY: Final = ("snapshot", "regions")
"""Keys that only the configuration of the machine image has."""

_NO_KEY: Final = "is not a key that this file may have"

_STRUCTURED: Final = frozenset({"nodes", "core", "redis", "sql", "routing", "load", "alarms", "monitoring"})
"""The keys that have keys below them; the engine hands them over as JSON."""


def stack_path(stack: str, root: Path) -> Path:
    """The file that configures a stack."""
    return root / f"Pulumi.{stack}.yaml"


def load(stack: str, root: Path) -> Architecture:
    """The architecture that `Pulumi.<stack>.yaml` in `root` describes.

    Raises:
        StackFileError: with every mistake in the file, or when there is none such.
    """
    path = stack_path(stack, root)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        known = sorted(p.name.split(".")[1] for p in root.glob("Pulumi.*.yaml"))
        raise StackFileError(
            path.name, [f"cannot be read ({reason}); there are stacks {', '.join(known) or 'none'}"]
        ) from error
    return parse(stack, text)


def parse(stack: str, text: str) -> Architecture:
    """The architecture that the text of a stack file describes.

    Raises:
        StackFileError: with every mistake in the text, each with its key.
    """
    name = _file(stack)
    try:
        document = strict_yaml.read(text)
    except strict_yaml.NotYamlError as error:
        raise StackFileError(name, [f"is not YAML: {error}"]) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(name, ["needs a mapping `config:`"])
    values = {key if ":" in key else NAMESPACE + key: value for key, value in _texts(config)}
    secret = [key for key, value in values.items() if holds_secret(value)]
    plain = _plain_secrets(values.get(NAMESPACE + SECRETS), NAMESPACE + SECRETS)
    return _architecture(stack, values, secret, plain)


def from_config(stack: str, values: Mapping[str, str], secret: Collection[str] = ()) -> Architecture:
    """The architecture that a stack's configuration describes, as the engine hands it to the program.

    Args:
        stack: the stack's name.
        values: by key (`isochrone:nodes`), a text, or JSON for what has keys below it.
        secret: the keys whose values are secret; none of an architecture's may be.

    Raises:
        StackFileError: with every mistake in the configuration, each with its key.
    """
    return _architecture(stack, values, secret, ())


def _architecture(
    stack: str, config: Mapping[str, Any], secret: Collection[str], found: Collection[str] | Iterator[str]
) -> Architecture:
    name = _file(stack)
    own = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    for key in _IMAGE_ONLY:
        if key in own and "nodes" not in own:
            raise StackFileError(
                name, [f"{NAMESPACE}{key}: describes the machine image, not an architecture"]
            )
    own.pop(SECRETS, None)
    hidden = {key for key in own if NAMESPACE + key in secret}
    values = {key: _opened(key, own[key]) for key in own if key not in hidden} | {"name": stack}
    mistakes = list(found)
    mistakes += [
        f"{key}: is nobody's key; those here begin with {', '.join(NAMESPACES)}: remove or correct it"
        for key in config
        if not key.startswith(NAMESPACES)
    ]
    if "name" in own:
        mistakes.append(f"{NAMESPACE}name: {_NO_KEY}; a stack's name is that of its file")
    mistakes += [
        f"{NAMESPACE}{key}: is a secret, and only {NAMESPACE}{SECRETS} may hold any; set it in plain text"
        for key in own
        if key in hidden
    ]
    architecture: Architecture | None = None
    try:
        architecture = TypeAdapter(Architecture).validate_python(values, by_name=False)
    except ValidationError as error:
        mistakes += [
            f"{_key(e['loc'])}: {advice(dict(e))}"
            for e in error.errors(include_url=False)
            if e["loc"][0] not in hidden
        ]
    mistakes += [
        f"{NAMESPACE}{key}: {text}" for key, text in contradictions(values) if key.split(".")[0] not in hidden
    ]
    if mistakes or architecture is None:
        raise StackFileError(name, mistakes)
    return architecture


def _file(stack: str) -> str:
    return f"Pulumi.{stack}.yaml"


def _texts(config: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The keys as texts, and the values that have nothing below them as the engine would hand them over."""
    for key, value in config.items():
        if isinstance(value, bool):
            yield str(key), str(value).lower()
        elif isinstance(value, int | float):
            yield str(key), str(value)
        elif isinstance(value, date):
            yield str(key), value.isoformat()
        else:
            yield str(key), value


def _opened(key: str, value: Any) -> Any:
    """The structure that a JSON text of the engine holds; anything else as it is."""
    if key in _STRUCTURED and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def holds_secret(value: Any) -> bool:
    """Whether a value of a stack file, or one below it, is encrypted."""
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(holds_secret(item) for item in value.values())
    return isinstance(value, list) and any(holds_secret(item) for item in value)


def _plain_secrets(value: Any, key: str) -> Iterator[str]:
    """The secrets of a stack file that are not encrypted."""
    if value is None or (isinstance(value, Mapping) and set(value) == {"secure"}):
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _plain_secrets(item, f"{key}.{name}")
    else:
        yield f"{key}: is in plain text; change it, and give it by `pulumi config set --secret --path`"


def _key(loc: tuple[int | str, ...]) -> str:
    return NAMESPACE + ".".join(str(part) for part in loc)


def advice(error: Mapping[str, Any]) -> str:
    """What is wrong with a value and what to do, from one of the errors of a `ValidationError`."""
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{_NO_KEY}; remove or correct it"
    if error["type"] in ("missing", "missing_argument"):
        return "is missing"
    return f"{error['msg'].removeprefix('Value error, ')} (it is {reprlib.repr(error['input'])})"
