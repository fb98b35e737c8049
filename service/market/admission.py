"""Whom this process serves: tokens, revoked users, and how many connections each user has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from market.limiter import Limiter, in_ms
from market.protocol import CloseCode, ErrorCode
from market.revocations import Revocations
from market.settings import Settings, SettingsError
from market.tokens import Identity, TokenError, signer_of
from market.user_connections import UserConnections

if TYPE_CHECKING:
    from market.connection import Connection

_log = logging.getLogger(__name__)


class RevokedError(TokenError):
    """An operator has shut the user out."""

    status = 403
    code = ErrorCode.REVOKED
    close_code = CloseCode.REVOKED


class TooManyConnectionsError(TokenError):
    """The user opens connections faster than it may."""

    status = 429
    code = ErrorCode.RATE_LIMITED
    close_code = CloseCode.TOO_MANY_ERRORS

    def __init__(self, wait_s: float) -> None:
        super().__init__("the user opens too many connections; come back later")
        self.retry_after_ms = in_ms(wait_s)


class Admission:
    """Lets users in, and out again when they are revoked or come once too often."""

    def __init__(self, settings: Settings, limiter: Limiter) -> None:
        self._settings = settings
        self._limiter = limiter
        self._users: UserConnections[Connection] = UserConnections()
        self.signer = signer_of(settings)
        self.revocations = Revocations(settings.redis_read, self._on_revoked)

    def reload_keys(self) -> None:
        """Read the keys of the tokens again; those at hand stay when the file is wrong."""
        try:
            self.signer = signer_of(self._settings)
        except SettingsError as error:
            _log.error("the token keys stay as they are: %s", error)
        else:
            _log.info("the token keys were read again")

    def verify(self, token: str) -> Identity:
        """Who shows a token.

        Raises:
            TokenError: when the token is not valid, or its user is not served.
        """
        identity = self.signer.verify(token)
        if self.revocations.revoked(identity.user):
            raise RevokedError("the user is shut out")
        return identity

    def identify(self, connection: Connection, known: Identity | None, token: str) -> Identity:
        """Who shows a token on a connection on which `known` was shown before.

        Raises:
            TokenError: when the token is not valid, or its user is not served (now).
        """
        identity = self.verify(token)
        if known is not None and known.user != identity.user:
            raise TokenError("the connection belongs to another user; open a new one")
        if known is None:
            wait_s = self._limiter.connection_of_user(identity.user)
            if wait_s:
                raise TooManyConnectionsError(wait_s)
            limit = self._settings.limits.connections_per_user
            oldest = self._users.add(identity.user, connection, limit)
            if oldest is not None:
                oldest.close(
                    CloseCode.REPLACED, f"a user has at most {limit} connections; this was the oldest"
                )
        return identity

    def expired(self, identity: Identity, grace_s: float = 0.0) -> bool:
        """Whether the token of an identity has not been valid for `grace_s` seconds."""
        return self.signer.expired(identity, grace_s)

    def leave(self, connection: Connection, identity: Identity) -> None:
        """A connection is gone."""
        self._users.remove(identity.user, connection)

    def _on_revoked(self, user: str) -> None:
        for connection in self._users.of(user):
            connection.close(CloseCode.REVOKED, "the user is shut out")
