"""Remembers which values were secret, and shows everything else with them redacted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format
from pulumi.runtime import rpc

from tests.infra.cloud.inputs import plain

SECRET: Final = "[secret]"
"""What stands for a secret value."""

_SHORTEST: Final = 6
"""A shorter value would be found everywhere by chance."""


class SecretsSeen:
    """The secret values that were handed over, or given out by AWS, so far."""

    def __init__(self) -> None:
        self.values: set[str] = set()

    def add(self, value: Any) -> None:
        """Remembers every text in a secret value."""
        self.values.update(text for text in texts(value) if len(text) >= _SHORTEST and text != SECRET)

    def redacted(self, struct: Any) -> Mapping[str, Any]:
        """The properties in a message of the engine's protocol, secrets remembered and redacted."""
        shown: Mapping[str, Any] = plain(self._redacted(json_format.MessageToDict(struct)))
        return shown

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            # The SDK has no public name for the mark.
            if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
                self.add(value.get("value"))
                return SECRET
            return {key: self._redacted(item) for key, item in value.items() if not key.startswith("__")}
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        return value


def texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


def opened(value: Any) -> Iterator[str]:
    """Every text in a value, and what it says where it is Base64 (as user data is)."""
    for text in texts(value):
        yield text
        try:
            yield base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            continue
