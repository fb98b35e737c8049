"""The questions to Redis behind accounts: the balance, what comes in, what is taken back."""

from __future__ import annotations

from typing import Any, Final

from market import keys
from market.calls.answers import receipt
from market.protocol import CancelPrediction, Deposit, ErrorCode
from market.scripts import PREDICTING, evaluate, script
from market.store import Call, Failure, Receipt, failure, failure_of

DEPOSIT: Final = script("deposit", "time", "journal")
CANCEL: Final = script("cancel", "time", "journal", *PREDICTING)

_TOO_MUCH: Final = {ErrorCode.CONFLICT: "the market holds as much money as it can count; deposit less"}


def balance(user: str) -> Call[int]:
    """What a user has; NO_SUCH_ACCOUNT."""
    return Call(("HGET", keys.account(user), "balance"), read_balance)


def deposit(user: str, request: Deposit) -> Call[Receipt]:
    """Add money to an account; KEY_REUSED, CONFLICT, JOURNAL_FULL."""
    return Call(evaluate(DEPOSIT, user, request.amount, request.key), receipt(_TOO_MUCH), DEPOSIT)


def cancel(user: str, request: CancelPrediction, flush_interval_ms: int) -> Call[Receipt]:
    """Take a prediction back; each of the errors of `CancelPrediction`."""
    command = evaluate(CANCEL, user, request.game, request.pool, request.key, flush_interval_ms)
    return Call(command, receipt(), CANCEL)


def read_balance(reply: Any) -> int | Failure:
    """The balance in the answer to HGET."""
    if isinstance(reply, Exception):
        return failure_of(reply)
    return failure(ErrorCode.NO_SUCH_ACCOUNT) if reply is None else int(reply)
