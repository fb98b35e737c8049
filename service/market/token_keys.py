"""The keys that sign the users' tokens.

Their file has one key, or a line `NAME:KEY` for each: the first signs, all are accepted. A key is replaced
without refusing anybody in three steps, after each of which the API processes get a SIGHUP: add the new one
below the old, move it to the top, and remove the old one once its last token has expired. A key without a
name may stay among those that have one.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from market.settings import SettingsError, read_secret

MIN_KEY_BYTES: Final = 32
"""RFC 7518 section 3.2: the key has at least the size of the hash."""
MAX_KEYS: Final = 16

_NAMED: Final = re.compile(r"([A-Za-z0-9_-]{1,32}):(.*)", re.DOTALL)


class TokenKey(Struct, frozen=True):
    """A key, and the name by which a token says that it was signed with it (`kid`)."""

    name: str | None
    secret: str

    def __repr__(self) -> str:
        return f"TokenKey({self.name!r})"


def read_keys(text: str, where: str = "the token keys") -> list[TokenKey]:
    """The keys in a text.

    Args:
        text: the content of a file of keys.
        where: what an error calls it.

    Raises:
        SettingsError: when there is none or too many, one is too short, or two have one name.
    """
    keys = [_key(line.strip()) for line in text.splitlines() if line.strip()]
    if not 1 <= len(keys) <= MAX_KEYS:
        raise SettingsError(f"{where} has {len(keys)} keys; it needs 1 to {MAX_KEYS}, a line each")
    for number, key in enumerate(keys, 1):
        if len(key.secret.encode()) < MIN_KEY_BYTES:
            raise SettingsError(
                f"{where} is too short: the key in line {number} needs at least {MIN_KEY_BYTES} bytes"
            )
    if len({key.name for key in keys}) < len(keys):
        raise SettingsError(f"{where} has two keys of one name; write NAME:KEY, each name once")
    return keys


def load_keys(path: str) -> list[TokenKey]:
    """The keys in a file.

    Raises:
        SettingsError: when it cannot be read; see `read_keys`.
    """
    return read_keys(read_secret(path), f"the token key {path}")


def _key(line: str) -> TokenKey:
    named = _NAMED.fullmatch(line)
    return TokenKey(named[1], named[2].strip()) if named else TokenKey(None, line)
