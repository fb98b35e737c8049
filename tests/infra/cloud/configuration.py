"""A stack file's configuration as the engine hands it over to a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import yaml

PROJECT: Final = "isochrone"


def handed_over(text: str) -> tuple[dict[str, str], list[str]]:
    """The configuration in a stack file's text by full keys, and the keys whose values are secret.

    Scalars are strings, the rest is JSON text. A value `{secure: TEXT}` stands for a secret that the engine
    decrypts to TEXT.
    """
    config = yaml.safe_load(text).get("config") or {}
    full = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in config.items()}
    return {key: _text(value) for key, value in full.items()}, [k for k, v in full.items() if _is_secret(v)]


def _text(value: Any) -> str:
    opened = _opened(value)
    return opened if isinstance(opened, str) else json.dumps(opened)


def _opened(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return value["secure"]
        return {key: _opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _is_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(_is_secret(item) for item in value.values())
    return isinstance(value, list) and any(_is_secret(item) for item in value)
