"""What a client may ask for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from market.limits import MAX_TAKEOUT
from market.protocol.naming import snake
from market.protocol.values import (
    Audience,
    Condition,
    Cursor,
    Event,
    GameStatus,
    Name,
    OptionIndex,
    Options,
    PageSize,
    Position,
    RequestId,
    Rule,
    Stake,
    TimeMs,
    Title,
    Token,
)


class Request(Struct, frozen=True, tag_field="type", tag=snake, forbid_unknown_fields=True):
    """What every request has: the id that its reply repeats."""

    id: RequestId


class Authenticate(Request, frozen=True):
    """Show a signed token, unless the upgrade request carried it (`Authorization: Bearer …`)."""

    token: Token


class ListGames(Request, frozen=True):
    """Ask for the games."""


class JoinGame(Request, frozen=True):
    """Subscribe to a game: from the reply on, everything that happens in it is sent.

    A client that was here before says with `since` which push it received last: it gets what it missed, in
    order, or a snapshot when that is gone.
    """

    game: Name
    since: Position | None = None


class LeaveGame(Request, frozen=True):
    """Unsubscribe from a game."""

    game: Name


class ListPools(Request, frozen=True):
    """Ask for a game's pools with their totals."""

    game: Name


class PlacePrediction(Request, frozen=True):
    """Stake an amount on one option of a pool; the same key never takes the stake twice."""

    game: Name
    pool: Name
    option: OptionIndex
    stake: Stake
    key: Name


class CancelPrediction(Request, frozen=True):
    """Take back the prediction placed with a key, while its pool is open and its grace time lasts."""

    game: Name
    pool: Name
    key: Name


class GetAccount(Request, frozen=True):
    """Ask for the balance."""


class Deposit(Request, frozen=True):
    """Add money to the account (scope `bank` or `admin`); the same key never adds it twice."""

    amount: Stake
    key: Name


class ListTransactions(Request, frozen=True):
    """Ask for the changes of the account, newest first; `cursor` continues where a page ended."""

    cursor: Cursor | None = None
    limit: PageSize = 50


class ListFriendsPredictions(Request, frozen=True):
    """Ask for the predictions of friends in a pool, newest first; `cursor` continues where a page ended."""

    game: Name
    pool: Name
    cursor: Cursor | None = None
    limit: PageSize = 50


class AddFriend(Request, frozen=True):
    """Name another user a friend. Two are friends when each has named the other."""

    user: Name


class RemoveFriend(Request, frozen=True):
    """Take back that another user is a friend."""

    user: Name


class ListFriends(Request, frozen=True):
    """Ask for those whom the user has named friends."""


class AskQuestion(Request, frozen=True):
    """Open a pool with a question of one's own; the same key never opens two."""

    game: Name
    question: Title
    options: Options
    key: Name
    audience: Audience = "everyone"
    closes_in_s: Annotated[int, Meta(ge=10, le=86_400)] = 600


class PlaceOrder(Request, frozen=True):
    """Leave a standing order: a prediction that is placed once the distribution meets the condition."""

    game: Name
    pool: Name
    option: OptionIndex
    stake: Stake
    key: Name
    when: Condition


class CancelOrder(Request, frozen=True):
    """Withdraw a standing order that was not carried out."""

    pool: Name
    key: Name


class ListOrders(Request, frozen=True):
    """Ask for one's standing orders in a game."""

    game: Name


class GetPresence(Request, frozen=True):
    """Ask how many connections have joined a game."""

    game: Name


class GetView(Request, frozen=True):
    """Ask which pushes of a game the answering process has, to compare it with others (scope `admin`)."""

    game: Name


class CreateGame(Request, frozen=True):
    """Announce a game (scope `admin`)."""

    game: Name
    title: Title
    status: GameStatus = "scheduled"


class SetGameStatus(Request, frozen=True):
    """Begin or end a game (scope `admin`); an end closes its open pools."""

    game: Name
    status: GameStatus


class OpenPool(Request, frozen=True):
    """Open a pool (scope `admin`).

    `takeout` is what the house keeps of every stake (permille); a prediction may be cancelled for `grace_ms`
    after it was placed.
    """

    game: Name
    pool: Name
    question: Title
    options: Options
    takeout: Annotated[int, Meta(ge=0, le=MAX_TAKEOUT)] = 0
    grace_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5000
    closes_at_ms: TimeMs | None = None
    decided_by: Rule | None = None


class ClosePool(Request, frozen=True):
    """Take no more predictions (scope `admin`)."""

    game: Name
    pool: Name


class ResolvePool(Request, frozen=True):
    """Name the winning options of a pool, which is closed and paid out (scope `admin`)."""

    game: Name
    pool: Name
    winners: Annotated[list[OptionIndex], Meta(min_length=1, max_length=64)]


class VoidPool(Request, frozen=True):
    """Give back every stake of a pool (scope `admin`)."""

    game: Name
    pool: Name


class SubmitEvent(Request, frozen=True):
    """Tell what happened in a match (scope `admin` or `feed`); the same event id counts once."""

    event: Event


class SubmitEvents(Request, frozen=True):
    """Tell several events at once (scope `admin` or `feed`); each of them is taken or refused by itself."""

    events: Annotated[list[Event], Meta(min_length=1, max_length=500)]


ClientMessage = (
    Authenticate
    | ListGames
    | JoinGame
    | LeaveGame
    | ListPools
    | PlacePrediction
    | CancelPrediction
    | GetAccount
    | Deposit
    | ListTransactions
    | ListFriendsPredictions
    | AddFriend
    | RemoveFriend
    | ListFriends
    | AskQuestion
    | PlaceOrder
    | CancelOrder
    | ListOrders
    | GetPresence
    | GetView
    | CreateGame
    | SetGameStatus
    | OpenPool
    | ClosePool
    | ResolvePool
    | VoidPool
    | SubmitEvent
    | SubmitEvents
)
