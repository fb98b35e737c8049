"""The HTTP status of each numbered error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from market.protocol import ErrorCode

STATUSES: Final[dict[ErrorCode, HTTPStatus]] = {
    ErrorCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNKNOWN_TYPE: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.NOT_JOINED: HTTPStatus.FORBIDDEN,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def status_of(code: ErrorCode) -> HTTPStatus:
    """The status: that which the code's first three digits name, unless it is in `STATUSES`."""
    return STATUSES.get(code) or HTTPStatus(code // 10)
