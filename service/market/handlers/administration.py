"""What administrators do: games and pools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from market import administration as calls
from market.administration import Outcome
from market.handlers.kinds import Handler, requiring
from market.protocol import (
    Accepted,
    ClosePool,
    CreateGame,
    ErrorCode,
    OpenPool,
    Reply,
    Request,
    ResolvePool,
    SetGameStatus,
    VoidPool,
)
from market.settlement import Totals, terms
from market.store import Done, Failure, failure
from market.tokens import Identity

if TYPE_CHECKING:
    from market.server import Api


def create_game(api: Api, identity: Identity, request: CreateGame, done: Done[Reply]) -> None:
    """Announce a game."""
    api.store.master(calls.create_game(identity.user, request), accepting(request, done))


def set_game_status(api: Api, identity: Identity, request: SetGameStatus, done: Done[Reply]) -> None:
    """Begin or end a game; before it ends, its open pools are closed, so many at a time."""

    def set_(outcome: Outcome | Failure) -> None:
        if outcome is Outcome.MORE:
            set_game_status(api, identity, request, done)
        else:
            accepting(request, done)(outcome)

    api.store.master(calls.set_game_status(identity.user, request), set_)


def open_pool(api: Api, identity: Identity, request: OpenPool, done: Done[Reply]) -> None:
    """Open a pool."""
    why = refusal(request)
    if why is not None:
        done(why)
    else:
        api.store.master(calls.open_pool(identity.user, request), accepting(request, done))


def refusal(request: OpenPool) -> Failure | None:
    """What is wrong with a pool that is to be opened, None when nothing is."""
    count = len(request.options)
    if len(set(request.options)) < count:
        return Failure(ErrorCode.MALFORMED, "two options are the same; name each once")
    rule = request.decided_by
    if rule is not None and any(option >= count for option in (*rule.options.values(), rule.otherwise or 0)):
        return failure(ErrorCode.NO_SUCH_OPTION)
    return None


def close_pool(api: Api, identity: Identity, request: ClosePool, done: Done[Reply]) -> None:
    """Take no more predictions of a pool."""
    api.store.master(calls.close_pool(identity.user, request), accepting(request, done))


def resolve_pool(api: Api, identity: Identity, request: ResolvePool, done: Done[Reply]) -> None:
    """Fix the winners of a pool; a resolver, which is near the master, pays them."""
    _resolve(api, identity, request, request.winners, done)


def void_pool(api: Api, identity: Identity, request: VoidPool, done: Done[Reply]) -> None:
    """Have a resolver give back every stake of a pool."""
    _resolve(api, identity, request, [], done)


def _resolve(
    api: Api, identity: Identity, request: ResolvePool | VoidPool, winners: list[int], done: Done[Reply]
) -> None:
    ask = partial(calls.resolve, identity.user, request.game, request.pool, winners)

    def settled(answer: Outcome | Totals | Failure) -> None:
        if isinstance(answer, Totals):
            api.store.master(ask(known=(answer, terms(answer))), settled)
        else:
            accepting(request, done)(answer)

    api.store.master(ask(), settled)


def accepting(request: Request, done: Done[Reply]) -> Done[Outcome]:
    """A callback that hands on a failure, and anything else as accepted."""

    def answered(outcome: Outcome | Failure) -> None:
        if isinstance(outcome, Failure):
            done(outcome)
        else:
            done(Accepted(request.id, outcome is Outcome.DUPLICATE))

    return answered


HANDLERS: Final[dict[type[Request], Handler]] = {
    CreateGame: requiring(create_game, "admin"),
    SetGameStatus: requiring(set_game_status, "admin"),
    OpenPool: requiring(open_pool, "admin"),
    ClosePool: requiring(close_pool, "admin"),
    ResolvePool: requiring(resolve_pool, "admin"),
    VoidPool: requiring(void_pool, "admin"),
}
