"""What a client may ask for, and how each request is answered."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from market import calls, origins
from market.audit import FULL
from market.frames import text_frame
from market.handlers import HANDLERS, events, handle
from market.limiter import in_ms
from market.origins import Origin, carried
from market.protocol import (
    Authenticate,
    Authenticated,
    ClientMessage,
    CloseCode,
    Error,
    ErrorCode,
    Joined,
    JoinGame,
    LeaveGame,
    Left,
    PlacePrediction,
    Reply,
    Request,
    RequestId,
    decode_client,
    encode,
)
from market.store import Failure, failure
from market.tokens import Identity, TokenError
from market.topics import Entry, Topic

if TYPE_CHECKING:
    from market.connection import Connection
    from market.server import Api

_log = logging.getLogger(__name__)

MAX_REFUSALS: Final = 100
"""Messages in a row that are refused before the connection is closed."""
MAX_STRANGER_REFUSALS: Final = 3
"""Messages that are refused before it is closed when no valid token was shown."""

KINDS: Final[tuple[type[Request], ...]] = (Authenticate, JoinGame, LeaveGame, *HANDLERS)
"""What a client may send to an API process."""
FEED_KINDS: Final[tuple[type[Request], ...]] = (Authenticate, *events.HANDLERS)
"""What a client may send to a feed's process."""
_TYPES: Final = frozenset(str(kind.__struct_config__.tag) for kind in KINDS)


class _Id(Struct):
    id: RequestId


class _Type(Struct):
    type: str


_decode_id: Final = msgspec.json.Decoder(_Id).decode
_decode_type: Final = msgspec.json.Decoder(_Type).decode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Session:
    """Who a connection belongs to, what it has joined and what it waits for."""

    __slots__ = ("_api", "_connection", "_in_flight", "_refusals", "_topics", "identity")

    def __init__(self, connection: Connection, api: Api) -> None:
        self._connection: Connection | None = connection
        self._api = api
        self.identity: Identity | None = None
        self._topics: dict[str, Topic | None] = {}
        self._in_flight = 0
        self._refusals = 0

    @property
    def idle(self) -> bool:
        """Whether no request waits for its answer."""
        return self._in_flight == 0

    @property
    def is_subscribed(self) -> bool:
        """Whether a game is joined."""
        return bool(self._topics)

    def identify(self, token: str) -> Identity:
        """Take the user from a token; raises `TokenError`."""
        if self._connection is None:
            raise TokenError("the connection is gone")
        self.identity = self._api.admission.identify(self._connection, self.identity, token)
        return self.identity

    def end(self) -> None:
        """Leave everything; what is still in flight is answered to nobody.

        The connection is let go of: it has the session, and when each has the other, nothing frees those that
        are frozen (see `server.GROWTH`).
        """
        connection, self._connection = self._connection, None
        for topic in self._topics.values():
            if topic is not None and connection is not None:
                topic.listeners.pop(connection, None)
        self._topics.clear()

    def receive(self, data: bytes) -> None:
        """Answer one message."""
        connection = self._connection
        if connection is None:
            return
        try:
            message = decode_client(data)
        except _UNREADABLE as error:
            self._refuse_unreadable(data, error)
            return
        before = origins.enter(Origin(connection, message.id))
        try:
            self._dispatch(connection, message)
        except Exception:
            _log.exception("the handling of %s failed", type(message).__name__)
            self._note(message, ErrorCode.INTERNAL)
            self._fail(message.id, failure(ErrorCode.INTERNAL))
        finally:
            origins.enter(before)

    def _dispatch(self, connection: Connection, message: ClientMessage) -> None:
        if self._api.audit.is_full:
            self._api.audit.refused += 1
            self._fail(message.id, FULL)
        elif wait_s := self._api.limiter.request(self.identity, connection.address):
            self._refuse(message, ErrorCode.RATE_LIMITED, "ask less often", in_ms(wait_s))
        elif isinstance(message, Authenticate):
            self._authenticate(message)
        elif self.identity is None:
            self._refuse(message, ErrorCode.UNAUTHENTICATED, "authenticate first")
        elif self._api.admission.expired(self.identity):
            self._refuse(message, ErrorCode.UNAUTHENTICATED, "the token has expired; authenticate again")
        elif type(message) not in self._api.kinds:
            self._refuse(message, ErrorCode.UNKNOWN_TYPE, "this server does not answer such requests")
        elif self._in_flight >= self._api.settings.max_requests_in_flight:
            self._refuse(message, ErrorCode.TOO_MANY_REQUESTS, "wait for the answers to earlier requests")
        else:
            self._refusals = 0
            if isinstance(message, JoinGame):
                self._join_game(message)
            elif isinstance(message, LeaveGame):
                self._leave_game(message)
            else:
                self._ask(message, self.identity)

    def _authenticate(self, message: Authenticate) -> None:
        try:
            identity = self.identify(message.token)
        except TokenError as error:
            self._refuse(message, error.code, str(error), error.retry_after_ms)
            self._close(error.close_code, str(error))
        else:
            self._refusals = 0
            self._note(message)
            self._send(Authenticated(message.id, identity.user, identity.expires_at_s))

    def _ask(self, message: Request, identity: Identity) -> None:
        if isinstance(message, PlacePrediction) and message.game not in self._topics:
            self._note(message, ErrorCode.NOT_JOINED)
            self._fail(message.id, Failure(ErrorCode.NOT_JOINED, "join the game first"))
            return
        self._in_flight += 1
        try:
            handle(self._api, identity, message, partial(self._answer, message.id))
        except Exception:
            self._in_flight -= 1
            raise

    def _join_game(self, message: JoinGame) -> None:
        limit = self._api.settings.limits.games_per_connection
        if len(self._topics) >= limit and message.game not in self._topics:
            self._refuse(message, ErrorCode.TOO_MANY_REQUESTS, f"leave a game first; {limit} are joined")
            return
        self._topics.setdefault(message.game, None)
        self._in_flight += 1
        self._api.store.nearest(calls.game_exists(message.game), partial(self._join_existing, message))

    def _join_existing(self, message: JoinGame, exists: bool | Failure) -> None:
        if exists is True:
            self._api.topics.open(message.game, carried(partial(self._enter, message)))
        else:
            self._joined(message, None, exists or failure(ErrorCode.NO_SUCH_GAME))

    def _enter(self, message: JoinGame, topic: Topic | Failure) -> None:
        if isinstance(topic, Failure):
            self._joined(message, None, topic)
        else:
            topic.enter(message.since, carried(partial(self._joined, message, topic)))

    def _joined(self, message: JoinGame, topic: Topic | None, entry: Entry | Failure) -> None:
        game = message.game
        if isinstance(entry, Failure) or topic is None:
            if self._topics.get(game, topic) is None:
                self._topics.pop(game, None)
        elif game not in self._topics:
            entry = Failure(ErrorCode.NOT_JOINED, "the game was left before it was joined")
        if isinstance(entry, Failure):
            self._note(message, entry.code)
            self._answer(message.id, entry)
            return
        self._note(message)
        position = entry.position
        self._answer(
            message.id, Joined(message.id, game, position.epoch, position.offset, entry.state, entry.pools)
        )
        connection = self._connection
        if connection is not None and connection.is_open and topic is not None:
            self._topics[game] = topic
            for sending in entry.missed:
                connection.offer(sending)
            topic.listeners[connection] = None

    def _leave_game(self, message: LeaveGame) -> None:
        if message.game not in self._topics:
            self._note(message, ErrorCode.NOT_JOINED)
            self._fail(message.id, Failure(ErrorCode.NOT_JOINED, "the game is not joined"))
            return
        self._note(message)
        topic = self._topics.pop(message.game)
        if topic is not None and self._connection is not None:
            topic.listeners.pop(self._connection, None)
        self._send(Left(message.id, message.game))

    def _answer(self, request: int, result: Reply | Failure) -> None:
        self._in_flight -= 1
        if isinstance(result, Failure):
            self._fail(request, result)
        else:
            self._send(result)
        if self._connection is not None:
            self._api.answered(self._connection)

    def _send(self, message: Reply | Error) -> None:
        if self._connection is not None:
            self._connection.send(text_frame(encode(message)))

    def _close(self, code: CloseCode, why: str) -> None:
        if self._connection is not None:
            self._connection.close(code, why)

    def _fail(self, request: int | None, why: Failure) -> None:
        self._send(Error(request, why.code, why.message, why.retry_after_ms))

    def _note(self, message: Request | None, code: int = 0) -> None:
        """Have the audit log say how a request of the connection itself was answered; None: an unreadable."""
        kind = "unreadable" if message is None else str(message.__struct_config__.tag)
        if self.identity is None:
            self._api.audit.note_stranger(kind, code, again=self._refusals > 0)
        else:
            self._api.audit.note_read(self.identity.user, kind, code)

    def _refuse(
        self,
        request: Request | int | None,
        code: ErrorCode,
        why: str,
        retry_after_ms: int | None = None,
    ) -> None:
        """Refuse what a correct client would not have sent; one that goes on with it is closed."""
        self._note(request if isinstance(request, Request) else None, code)
        shown = request.id if isinstance(request, Request) else request
        self._fail(shown, Failure(code, why, retry_after_ms))
        self._refusals += 1
        if self._refusals >= (MAX_STRANGER_REFUSALS if self.identity is None else MAX_REFUSALS):
            self._close(CloseCode.TOO_MANY_ERRORS, "read the errors, then come back")

    def _refuse_unreadable(self, data: bytes, error: Exception) -> None:
        try:
            data.decode()
        except UnicodeDecodeError:
            self._close(CloseCode.INVALID_TEXT, "send UTF-8")
            return
        code, reason = ErrorCode.MALFORMED, str(error)
        if isinstance(error, RecursionError):
            reason = "the message is nested too deeply"
        try:
            kind = _decode_type(data).type
        except _UNREADABLE:
            pass
        else:
            if kind not in _TYPES:
                code, reason = ErrorCode.UNKNOWN_TYPE, f"a client may send {', '.join(sorted(_TYPES))}"
        try:
            request = _decode_id(data).id
        except _UNREADABLE:
            request = None
        self._refuse(request, code, reason)
