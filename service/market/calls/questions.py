"""The question to Redis behind users' own questions."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from market.calls.answers import done_before
from market.limits import (
    MAX_OPEN_QUESTIONS,
    MAX_POOLS_PER_GAME,
    MAX_QUESTIONS_OF_ALL,
    MAX_QUESTIONS_PER_GAME,
)
from market.protocol import AskQuestion, ErrorCode
from market.scripts import WRITING, evaluate, script
from market.store import Call

ASK: Final = script("ask", *WRITING)

_REASONS: Final = {
    ErrorCode.CONFLICT: "the game is over; ask in another one",
    ErrorCode.TOO_MANY_REQUESTS: f"a user may have {MAX_OPEN_QUESTIONS} questions open and ask"
    f" {MAX_QUESTIONS_PER_GAME} in a game, and a game has at most {MAX_POOLS_PER_GAME} pools,"
    f" {MAX_QUESTIONS_OF_ALL} of them questions of users",
}


def pool_of(user: str, key: str) -> str:
    """The name of the pool of a user's question: the same for the same key, and nobody else's."""
    return f"q-{hashlib.sha256(f'{user} {key}'.encode()).hexdigest()[:20]}"


def ask(user: str, request: AskQuestion) -> Call[bool]:
    """Open a pool with a question; whether it had been opened before. Each of the errors of `AskQuestion`."""
    question, options = msgspec.json.encode(request.question), msgspec.json.encode(request.options)
    content = msgspec.json.encode(
        (request.game, request.question, request.options, request.audience, request.closes_in_s)
    )
    command = evaluate(
        ASK,
        user,
        request.key,
        request.game,
        pool_of(user, request.key),
        question,
        options,
        len(request.options),
        request.audience,
        request.closes_in_s * 1000,
        request.question,
        hashlib.sha256(content).hexdigest(),
    )
    return Call(command, done_before(_REASONS), ASK)
