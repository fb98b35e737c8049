"""The signed tokens by which users show who they are (JSON Web Tokens, RFC 7519, HMAC with SHA-256)."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import jwt
from msgspec import Struct

from market.settings import MarketError, SettingsError, read_secret

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "market"
MIN_KEY_BYTES: Final = 32
"""RFC 7518 section 3.2: the key has at least the size of the hash."""

_USER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class TokenError(MarketError):
    """A token is not valid; the message says why and may be shown to whoever sent it."""


class Identity(Struct, frozen=True):
    """Who showed a token, until when it holds (s since 1970), and what else than play it allows."""

    user: str
    expires_at_s: int
    scopes: frozenset[str] = frozenset()


class Signer:
    """Issues and verifies tokens with one key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def issue(self, user: str, ttl_s: int, *, now_s: int | None = None, scope: str = "") -> str:
        """A token that holds for `ttl_s` seconds from now; `scope` names scopes, separated by spaces."""
        issued = int(time.time()) if now_s is None else now_s
        claims: dict[str, str | int] = {"sub": user, "aud": AUDIENCE, "iat": issued, "exp": issued + ttl_s}
        if scope:
            claims["scope"] = scope
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: str) -> Identity:
        """Who the token names.

        Raises:
            TokenError: when it is not signed with our key, not for us, expired, or names no user.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["sub", "aud", "exp"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenError("the token has expired; get a new one") from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenError("the token is not valid; get one from the market's sign-in") from error
        user = claims["sub"]
        if not _USER.fullmatch(user):
            raise TokenError("the token names no user of this market")
        scope = claims.get("scope", "")
        if not isinstance(scope, str):
            raise TokenError("the token's scope is not a text; get one from the market's sign-in")
        return Identity(user, int(claims["exp"]), frozenset(scope.split()))


def load_signer(path: str) -> Signer:
    """The signer with the key in a file.

    Raises:
        SettingsError: when the key cannot be read or is too short.
    """
    key = read_secret(path)
    if len(key.encode()) < MIN_KEY_BYTES:
        raise SettingsError(f"the token key {path} is too short; it needs at least {MIN_KEY_BYTES} bytes")
    return Signer(key)
