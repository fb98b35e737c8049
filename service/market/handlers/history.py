"""What happened before: a user's transactions, and friends' predictions.

A list is complete: it has everything that was acknowledged before it was asked for. Up to the position of
the region's SQL replica it comes from there, and what is newer from the master's journal, by the ids that are
kept for each user. The position is read first, so that nothing falls between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from market import calls_journal as calls
from market import sql_history
from market.handlers.kinds import Handler
from market.journal import Entry, Place, place_of
from market.protocol import (
    ErrorCode,
    FriendPrediction,
    FriendsPredictions,
    ListFriendsPredictions,
    ListTransactions,
    Reply,
    Request,
    Transaction,
    Transactions,
)
from market.sql_history import Rows
from market.sql_reader import Server
from market.store import Call, Done, Failure, failure
from market.tokens import Identity

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from market.server import Api

_WRONG_CURSOR: Final = Failure(ErrorCode.MALFORMED, "the cursor is none of ours; send one as a page gave it")


class _Listing(Struct, frozen=True):
    """How a list is read, and what is made of it."""

    cursor: Place | None
    limit: int
    rows: Callable[[Connection[Any]], Rows]
    tail: Callable[[Place], Call[calls.Tail]]
    reply: Callable[[list[Entry], str | None], Reply]
    predictions: bool
    """Whether these are predictions, of which cancelled ones are left out, however new the cancellation."""


def list_transactions(api: Api, identity: Identity, request: ListTransactions, done: Done[Reply]) -> None:
    """The changes of the account, newest first."""
    user, limit = identity.user, request.limit
    cursor = _cursor(request.cursor)
    if isinstance(cursor, Failure):
        done(cursor)
        return

    def reply(entries: list[Entry], following: str | None) -> Reply:
        return Transactions(request.id, [_transaction(entry) for entry in entries], following)

    listing = _Listing(
        cursor,
        limit,
        lambda connection: sql_history.transactions(connection, user, cursor, limit + 1),
        lambda since: calls.account_tail(user, since, cursor),
        reply,
        predictions=False,
    )
    _read(api, listing, "read", done)


def list_friends_predictions(
    api: Api, identity: Identity, request: ListFriendsPredictions, done: Done[Reply]
) -> None:
    """The predictions of mutual friends in a pool, newest first, without those that were cancelled."""
    limit, pool = request.limit, request.pool
    cursor = _cursor(request.cursor)
    if isinstance(cursor, Failure):
        done(cursor)
        return

    def reply(entries: list[Entry], following: str | None) -> Reply:
        predictions = [_prediction(entry) for entry in entries]
        return FriendsPredictions(request.id, request.game, pool, predictions, following)

    def found(friends: list[str] | Failure) -> None:
        if isinstance(friends, Failure):
            done(friends)
            return
        if not friends:
            done(reply([], None))
            return
        listing = _Listing(
            cursor,
            limit,
            lambda connection: sql_history.predictions(connection, pool, friends, cursor, limit + 1),
            lambda since: calls.predictions_tail(friends, pool, since, cursor),
            reply,
            predictions=True,
        )
        _read(api, listing, "read", done)

    api.store.nearest(calls.mutual_friends(identity.user, request.game, pool), found)


def _cursor(text: str | None) -> Place | Failure | None:
    return None if text is None else place_of(text) or _WRONG_CURSOR


def _read(api: Api, listing: _Listing, server: Server, done: Done[Reply]) -> None:
    api.sql.submit(server, listing.rows, partial(_complete, api, listing, server, done))


def _complete(api: Api, listing: _Listing, server: Server, done: Done[Reply], rows: Rows | Failure) -> None:
    if isinstance(rows, Failure):
        done(rows)
    elif listing.cursor is not None and listing.cursor <= rows.position and not listing.predictions:
        done(_reply(listing, rows, None))
    else:
        api.store.master(listing.tail(rows.position), partial(_merge, api, listing, server, done, rows))


def _merge(
    api: Api, listing: _Listing, server: Server, done: Done[Reply], rows: Rows, tail: calls.Tail | Failure
) -> None:
    if isinstance(tail, Failure):
        done(tail)
    elif rows.position >= tail.trimmed:
        done(_reply(listing, rows, tail))
    elif server == "read":
        _read(api, listing, "master", done)
    else:
        done(failure(ErrorCode.UNAVAILABLE))


def _reply(listing: _Listing, rows: Rows, tail: calls.Tail | None) -> Reply:
    entries, floor = merge(rows, tail, listing.limit)
    if listing.predictions:
        entries = without_cancelled(entries, tail)
    page = entries[: listing.limit]
    if len(entries) > listing.limit:
        floor = page[-1].place
    return listing.reply(page, None if floor is None else str(floor))


def merge(rows: Rows, tail: calls.Tail | None, limit: int) -> tuple[list[Entry], Place | None]:
    """The entries of both, newest first, and the place before which there may be more, None at the end.

    `rows` has one more than `limit` when there are more.
    """
    floor = rows.entries[-1].place if len(rows.entries) > limit else None
    kept = {entry.place: entry for entry in rows.entries}
    if tail is not None:
        if tail.floor is not None:
            floor, kept = tail.floor, {}
        kept |= {e.place: e for e in tail.entries if tail.floor is None or e.place >= tail.floor}
    return sorted(kept.values(), key=lambda entry: entry.place, reverse=True), floor


def without_cancelled(entries: list[Entry], tail: calls.Tail | None) -> list[Entry]:
    """The predictions among the entries that the tail does not know as cancelled."""
    newest = tail.entries if tail is not None else []
    cancelled = {(entry.user, entry.key) for entry in newest if entry.kind == "cancellation"}
    return [e for e in entries if e.kind == "prediction" and (e.user, e.key) not in cancelled]


def _transaction(entry: Entry) -> Transaction:
    return Transaction(
        entry.kind,
        entry.amount or 0,
        entry.balance or 0,
        entry.epoch,
        entry.journal_id,
        entry.key,
        entry.game,
        entry.pool,
    )


def _prediction(entry: Entry) -> FriendPrediction:
    return FriendPrediction(
        entry.user or "", entry.option or 0, entry.stake or 0, entry.epoch, entry.journal_id
    )


HANDLERS: Final[dict[type[Request], Handler]] = {
    ListTransactions: list_transactions,
    ListFriendsPredictions: list_friends_predictions,
}
