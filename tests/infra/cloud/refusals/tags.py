"""Tags, descriptions and names that AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tests.infra.cloud.errors import RefusedError

_TAG: Final = re.compile(r"[\w\s.:/=+\-@]*")
"""The characters that every service takes in a tag (EC2 alone takes more)."""


def check_tags(tags: Mapping[str, str]) -> None:
    """At most 50, none of AWS's own, short, and of characters that all services take."""
    if len(tags) > 50:
        raise RefusedError(f"{len(tags)} tags are more than 50")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise RefusedError(f"the tag {key} begins with aws:")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise RefusedError(f"the tag {key}={value} is too long")
        if not (_TAG.fullmatch(key) and _TAG.fullmatch(value)):
            raise RefusedError(f"the tag {key}={value} has characters that AWS refuses")


def check_text(what: str, text: str, pattern: str) -> None:
    """A name or description has only the characters, and the length, that AWS takes."""
    if not re.fullmatch(pattern, text):
        raise RefusedError(f"{what} {text!r} does not match {pattern}")
