"""Users' own questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market.calls import questions
from market.handlers.kinds import Handler, replying
from market.protocol import Asked, AskQuestion, Reply, Request
from market.store import Done
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def ask_question(api: Api, identity: Identity, request: AskQuestion, done: Done[Reply]) -> None:
    """Open a pool with a question, for everyone or for friends."""
    pool = questions.pool_of(identity.user, request.key)

    def asked(before: bool) -> Asked:
        return Asked(request.id, request.game, pool, before)

    api.store.master(questions.ask(identity.user, request), replying(done, asked))


HANDLERS: Final[dict[type[Request], Handler]] = {AskQuestion: ask_question}
