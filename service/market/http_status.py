"""The HTTP status that goes with each numbered error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from market.protocol import ErrorCode

_STATUS: Final = {
    400: HTTPStatus.UNPROCESSABLE_ENTITY,
    401: HTTPStatus.UNAUTHORIZED,
    403: HTTPStatus.FORBIDDEN,
    404: HTTPStatus.NOT_FOUND,
    409: HTTPStatus.CONFLICT,
    429: HTTPStatus.TOO_MANY_REQUESTS,
    500: HTTPStatus.INTERNAL_SERVER_ERROR,
    503: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(code: ErrorCode) -> HTTPStatus:
    """The status of an error: its number is ten times the status, and one digit to tell several apart."""
    return _STATUS[code // 10]
