"""The signed tokens by which users show who they are (JSON Web Tokens, RFC 7519, HMAC with SHA-256)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final

import jwt
from msgspec import Struct

from market.protocol import CloseCode, ErrorCode
from market.settings import MarketError, Settings
from market.token_keys import TokenKey, load_keys, read_keys

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "market"
LEEWAY_S: Final = 5.0
"""By how much the clocks of who signs and who verifies may differ."""
ADMIN: Final = "admin"
"""The scope of operators."""

BANK: Final = "bank"
"""The scope of who has taken a user's money, and adds it to that user's account."""
FEED: Final = "feed"
"""The scope of who tells what happens in the matches."""

USER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What names a user; the whole of it has to match."""


class TokenError(MarketError):
    """A token is not accepted; the message says why and may be shown to whoever sent it."""

    status = 401
    """Of the answer to an upgrade request."""
    code = ErrorCode.UNAUTHENTICATED
    """Of the answer to a message."""
    close_code = CloseCode.UNAUTHENTICATED
    retry_after_ms: int | None = None


class Identity(Struct, frozen=True):
    """Who showed a token, until when it holds (s since 1970), and what beside a user's rights it gives."""

    user: str
    expires_at_s: int
    scopes: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        """Whether it is an operator's."""
        return ADMIN in self.scopes


class Signer:
    """Issues tokens with the first of its keys, and accepts those of all.

    Args:
        keys: the keys, or their file's text (see `token_keys`).
        audience: whom the tokens are for; those for others are refused.
        leeway_s: for how long after its end a token is still accepted.
    """

    def __init__(
        self, keys: str | Sequence[TokenKey], audience: str = AUDIENCE, leeway_s: float = LEEWAY_S
    ) -> None:
        self._keys = tuple(read_keys(keys) if isinstance(keys, str) else keys)
        self._audience = audience
        self._leeway_s = leeway_s

    def issue(self, user: str, ttl_s: int, *, scopes: Sequence[str] = (), now_s: int | None = None) -> str:
        """A token that holds for `ttl_s` seconds from now."""
        issued = int(time.time()) if now_s is None else now_s
        claims: dict[str, Any] = {"sub": user, "aud": self._audience, "iat": issued, "exp": issued + ttl_s}
        if scopes:
            claims["scope"] = " ".join(scopes)
        key = self._keys[0]
        headers = {"kid": key.name} if key.name is not None else None
        return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> Identity:
        """Who the token names.

        Raises:
            TokenError: when it is not signed with one of our keys, not for us, expired, or names no user.
        """
        try:
            claims = self._claims(token)
        except jwt.ExpiredSignatureError as error:
            raise TokenError("the token has expired; get a new one") from error
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenError("the token is not valid; get one from the market's sign-in") from error
        user, scope = claims["sub"], claims.get("scope", "")
        if not USER.fullmatch(user):
            raise TokenError("the token names no user of this market")
        if not isinstance(scope, str):
            raise TokenError("the token's scope is not a text of words")
        return Identity(user, int(claims["exp"]), frozenset(scope.split()))

    def expired(self, identity: Identity, grace_s: float = 0.0) -> bool:
        """Whether the token of an identity has not been valid for `grace_s` seconds."""
        return identity.expires_at_s + self._leeway_s + grace_s <= time.time()

    def _claims(self, token: str) -> dict[str, Any]:
        """Raises what `jwt` raises when none of the keys fits."""
        name = jwt.get_unverified_header(token).get("kid")
        for key in self._candidates(name):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.secret,
                    algorithms=[ALGORITHM],
                    audience=self._audience,
                    leeway=self._leeway_s,
                    options={"require": ["sub", "aud", "exp"]},
                )
            except jwt.InvalidSignatureError:
                continue
            return claims
        raise jwt.InvalidSignatureError("it is signed with none of the keys")

    def _candidates(self, name: str | None) -> Sequence[TokenKey]:
        """A named key for a token that names it; the one without a name for those that name another."""
        if name is None:
            return self._keys
        return [key for key in self._keys if key.name == name] or [k for k in self._keys if k.name is None]


def load_signer(path: str, audience: str = AUDIENCE, leeway_s: float = LEEWAY_S) -> Signer:
    """The signer with the keys in a file.

    Raises:
        SettingsError: when the keys cannot be read, or one is too short.
    """
    return Signer(load_keys(path), audience, leeway_s)


def signer_of(settings: Settings) -> Signer:
    """The signer of a process, with its keys as they are in their file now.

    Raises:
        SettingsError: see `load_signer`.
    """
    return load_signer(settings.token_key_file, settings.token_audience, settings.token_leeway_s)
