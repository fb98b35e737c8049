"""How the answers of scripts that write are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from market.protocol import ErrorCode
from market.store import Failure, Receipt, failure, failure_of

Reasons = Mapping[ErrorCode, str]
"""What a client is told of an error whose code alone does not say it."""


def refused(reply: Any, reasons: Reasons | None = None) -> Failure | None:
    """Why a script did nothing, None when it did what was asked or had done it before."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    if len(reply) == 1 and reply[0] > 1:
        code = ErrorCode(reply[0])
        return Failure(code, reasons[code]) if reasons and code in reasons else failure(code)
    return None


def done_before(reasons: Reasons | None = None) -> Callable[[Any], bool | Failure]:
    """Read an answer that says only whether it is a duplicate."""

    def read(reply: Any) -> bool | Failure:
        why = refused(reply, reasons)
        return why if why is not None else reply[0] == 1

    return read


def receipt(reasons: Reasons | None = None) -> Callable[[Any], Receipt | Failure]:
    """Read an answer that is a receipt, with or without the time of the flush."""

    def read(reply: Any) -> Receipt | Failure:
        why = refused(reply, reasons)
        if why is not None:
            return why
        duplicate, epoch, journal_id, balance, *due_in_ms = reply
        return Receipt(
            int(epoch), journal_id.decode(), int(balance), duplicate == 1, due_in_ms[0] if due_in_ms else -1
        )

    return read
