"""The numbered errors and closes."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """The numbered errors; a number never changes its meaning."""

    MALFORMED = 4000
    """The message is not valid JSON, or a field is missing, unknown to its type or out of its bounds."""
    UNKNOWN_TYPE = 4001
    """The message's type is not one that a client may send."""
    UNAUTHENTICATED = 4010
    """The connection has not shown a valid token."""
    NOT_JOINED = 4030
    """The request needs the user to have joined the game first."""
    NOT_ALLOWED = 4031
    """The request needs a token with the scope `admin`, or the pool is not for this user."""
    REVOKED = 4032
    """An operator has shut the user out."""
    NO_SUCH_GAME = 4040
    NO_SUCH_POOL = 4041
    NO_SUCH_OPTION = 4042
    NO_SUCH_ACCOUNT = 4043
    NO_SUCH_PREDICTION = 4044
    NO_SUCH_ORDER = 4045
    POOL_CLOSED = 4090
    KEY_REUSED = 4091
    """The idempotency key was used before, for something else, or for what was cancelled or failed since."""
    INSUFFICIENT_FUNDS = 4092
    TOO_LATE = 4093
    """The grace time in which a prediction may be cancelled is over."""
    EXISTS = 4094
    """A game or a pool of this name exists, and differs from what was asked for."""
    CONFLICT = 4095
    """The game or the pool is not in a state in which this can be done."""
    TOO_MANY_REQUESTS = 4290
    """Too many of its kind: requests that wait for an answer, open questions, standing orders, friends."""
    RATE_LIMITED = 4291
    """The user, or its address, asks too often; `retry_after_ms` says when to come back."""
    INTERNAL = 5000
    """The server failed; the outcome of a write is unknown: repeat it with the same key."""
    UNAVAILABLE = 5030
    """The data could not be reached; the outcome of a write is unknown: repeat it with the same key."""
    JOURNAL_FULL = 5031
    """The journal waits for SQL and takes nothing more; nothing was done: repeat it later."""


class CloseCode(IntEnum):
    """The numbered closes of this protocol, beside those of RFC 6455."""

    GOING_AWAY = 1001
    """The server drains: come back after the delay in the reason, "come back in 1234 ms"."""
    UNSUPPORTED_DATA = 1003
    """A binary message: this protocol speaks text."""
    INVALID_TEXT = 1007
    MESSAGE_TOO_BIG = 1009
    UNAUTHENTICATED = 4401
    """No valid token was shown in time, or it was refused, or it expired and no new one was shown."""
    REVOKED = 4403
    """An operator has shut the user out: do not come back."""
    SLOW_CONSUMER = 4408
    """The client does not drain what it is sent."""
    REPLACED = 4409
    """The user opened more connections than one may have; this was the oldest: do not come back."""
    IDLE = 4410
    """No game was joined and nothing asked for a long time."""
    TOO_MANY_ERRORS = 4429
    """The client keeps sending messages that are refused, or sends faster than it may."""
