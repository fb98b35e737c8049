"""The messages between a client and the market, both directions.

Every message is one JSON text frame of a WebSocket whose subprotocol is one of `SUBPROTOCOLS`. A request
carries a request id that its one reply repeats; a push is sent unasked to everyone who joined the game.
Amounts of money are integers in minor units.

A client of `market.v1` gets the pushes of type `distribution` only; everything else is the same in both.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from market.protocol.codes import (
    CloseCode,
    ErrorCode,
)
from market.protocol.pushes import (
    Distribution,
    GameChanged,
    PoolChanged,
    Push,
    StateLost,
)
from market.protocol.replies import (
    Accepted,
    Account,
    Asked,
    Authenticated,
    Cancelled,
    Deposited,
    Error,
    EventsTaken,
    Friends,
    FriendsPredictions,
    Games,
    Joined,
    Left,
    OrderCancelled,
    Ordered,
    Orders,
    Placed,
    Pools,
    Presence,
    Reply,
    Transactions,
    View,
)
from market.protocol.requests import (
    AddFriend,
    AskQuestion,
    Authenticate,
    CancelOrder,
    CancelPrediction,
    ClientMessage,
    ClosePool,
    CreateGame,
    Deposit,
    GetAccount,
    GetPresence,
    GetView,
    JoinGame,
    LeaveGame,
    ListFriends,
    ListFriendsPredictions,
    ListGames,
    ListOrders,
    ListPools,
    ListTransactions,
    OpenPool,
    PlaceOrder,
    PlacePrediction,
    RemoveFriend,
    Request,
    ResolvePool,
    SetGameStatus,
    SubmitEvent,
    SubmitEvents,
    VoidPool,
)
from market.protocol.values import (
    Audience,
    Condition,
    Cursor,
    Event,
    EventOutcome,
    FriendPrediction,
    Game,
    GameStatus,
    JsonObject,
    Name,
    OptionIndex,
    Options,
    Order,
    PageSize,
    Permille,
    Pool,
    PoolStatus,
    Position,
    RequestId,
    Rule,
    Seen,
    Stake,
    TimeMs,
    Title,
    Token,
    Transaction,
)

SUBPROTOCOL: Final = "market.v2"
"""The name and version of this protocol in the upgrade request."""

Subprotocol = Literal["market.v2", "market.v1"]

SUBPROTOCOLS: Final[tuple[Subprotocol, ...]] = ("market.v2", "market.v1")
"""Those that a server can speak, the newest first."""

MAX_MESSAGE_BYTES: Final = 4096
"""The largest message that a client may send; a larger one is answered with close code 1009."""

ServerMessage = (
    Account
    | Asked
    | Authenticated
    | Cancelled
    | Deposited
    | Accepted
    | Error
    | EventsTaken
    | Friends
    | FriendsPredictions
    | Games
    | Joined
    | Left
    | OrderCancelled
    | Ordered
    | Orders
    | Placed
    | Pools
    | Presence
    | Transactions
    | View
    | Distribution
    | PoolChanged
    | GameChanged
    | StateLost
)

PushMessage = Distribution | PoolChanged | GameChanged

encode: Final = msgspec.json.Encoder().encode
"""A message as the bytes of its frame."""

decode_client: Final = msgspec.json.Decoder(ClientMessage).decode
"""A client's frame as its message; raises `msgspec.DecodeError` or `msgspec.ValidationError`."""

decode_server: Final = msgspec.json.Decoder(ServerMessage).decode
"""A server's frame as its message; raises `msgspec.DecodeError` or `msgspec.ValidationError`."""

decode_push: Final = msgspec.json.Decoder(PushMessage).decode
"""A push as the channel carries it."""

__all__ = [
    "MAX_MESSAGE_BYTES",
    "SUBPROTOCOL",
    "SUBPROTOCOLS",
    "Accepted",
    "Account",
    "AddFriend",
    "AskQuestion",
    "Asked",
    "Audience",
    "Authenticate",
    "Authenticated",
    "CancelOrder",
    "CancelPrediction",
    "Cancelled",
    "ClientMessage",
    "CloseCode",
    "ClosePool",
    "Condition",
    "CreateGame",
    "Cursor",
    "Deposit",
    "Deposited",
    "Distribution",
    "Error",
    "ErrorCode",
    "Event",
    "EventOutcome",
    "EventsTaken",
    "FriendPrediction",
    "Friends",
    "FriendsPredictions",
    "Game",
    "GameChanged",
    "GameStatus",
    "Games",
    "GetAccount",
    "GetPresence",
    "GetView",
    "JoinGame",
    "Joined",
    "JsonObject",
    "LeaveGame",
    "Left",
    "ListFriends",
    "ListFriendsPredictions",
    "ListGames",
    "ListOrders",
    "ListPools",
    "ListTransactions",
    "Name",
    "OpenPool",
    "OptionIndex",
    "Options",
    "Order",
    "OrderCancelled",
    "Ordered",
    "Orders",
    "PageSize",
    "Permille",
    "PlaceOrder",
    "PlacePrediction",
    "Placed",
    "Pool",
    "PoolChanged",
    "PoolStatus",
    "Pools",
    "Position",
    "Presence",
    "Push",
    "PushMessage",
    "RemoveFriend",
    "Reply",
    "Request",
    "RequestId",
    "ResolvePool",
    "Rule",
    "Seen",
    "ServerMessage",
    "SetGameStatus",
    "Stake",
    "StateLost",
    "SubmitEvent",
    "SubmitEvents",
    "Subprotocol",
    "TimeMs",
    "Title",
    "Token",
    "Transaction",
    "Transactions",
    "View",
    "VoidPool",
    "decode_client",
    "decode_push",
    "decode_server",
    "encode",
]
