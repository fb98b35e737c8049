"""The HTTP requests of one connection of a feed, one after the other."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11
import msgspec

from market.handlers import HANDLERS
from market.http_status import status_of
from market.protocol import Error, ErrorCode, Event, Reply, SubmitEvent, encode
from market.store import Failure
from market.tokens import Identity, TokenError

if TYPE_CHECKING:
    from market.feed import Feed

MAX_HEAD_BYTES: Final = 16_384
LINGER_S: Final = 2.0
PATH: Final = b"/events"

Answer = Reply | Error

_decode: Final = msgspec.json.Decoder(Event | list[Event]).decode


class _RefusedError(Exception):
    """A request is answered with an error of its own."""

    def __init__(self, status: HTTPStatus, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = Error(None, code, message)


class EventRequests:
    """Reads requests from what a connection receives, and answers them."""

    def __init__(self, feed: Feed, transport: asyncio.Transport) -> None:
        self._feed = feed
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._body = bytearray()
        self._answering = False
        self._refused = False
        self._timer = self._loop.call_later(feed.settings.request_timeout_s, self._overdue)

    @property
    def idle(self) -> bool:
        """Whether no request is being received or answered."""
        return self._refused or (not self._answering and self._http.their_state is h11.IDLE)

    def receive(self, data: bytes) -> None:
        """Take bytes of requests."""
        if self._refused:
            return
        try:
            self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            self._refuse(_malformed(error))
        else:
            self._advance()

    def end(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _advance(self) -> None:
        """Read on, until a request is answered or more bytes are needed."""
        try:
            self._read()
        except h11.RemoteProtocolError as error:
            self._refuse(_malformed(error))
        except _RefusedError as refused:
            self._refuse(refused)

    def _read(self) -> None:
        while not (self._answering or self._transport.is_closing()):
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._feed.settings.max_body_bytes:
                    raise _too_large(self._feed)
            elif isinstance(event, h11.EndOfMessage):
                self._submit(bytes(self._body))
            elif isinstance(event, h11.ConnectionClosed):
                self._transport.close()
            else:
                return

    def _begin(self, request: h11.Request) -> None:
        self._body.clear()
        if request.target.partition(b"?")[0] != PATH:
            raise _RefusedError(HTTPStatus.NOT_FOUND, ErrorCode.UNKNOWN_TYPE, "events are posted to /events")
        if request.method != b"POST":
            raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, ErrorCode.UNKNOWN_TYPE, "post events")
        self._identity = self._identify(request)
        lengths = [int(value) for name, value in request.headers if name == b"content-length"]
        if lengths and lengths[0] > self._feed.settings.max_body_bytes:
            raise _too_large(self._feed)
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def _identify(self, request: h11.Request) -> Identity:
        shown = [value for name, value in request.headers if name == b"authorization"]
        scheme, _, token = (shown[0] if len(shown) == 1 else b"").partition(b" ")
        try:
            if scheme.lower() != b"bearer":
                raise TokenError("show one token: Authorization: Bearer TOKEN")
            return self._feed.api.signer.verify(token.strip().decode("latin-1"))
        except TokenError as error:
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, ErrorCode.UNAUTHENTICATED, str(error)) from error

    def _submit(self, body: bytes) -> None:
        try:
            decoded = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorCode.MALFORMED, str(error)) from error
        events = decoded if isinstance(decoded, list) else [decoded]
        most = self._feed.settings.max_events
        if not 0 < len(events) <= most:
            why = f"send from 1 to {most} events at once"
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorCode.MALFORMED, why)
        self._answering = True
        self._transport.pause_reading()
        answers: list[Answer | None] = [None] * len(events)
        left = len(events)

        def answered(place: int, result: Reply | Failure) -> None:
            nonlocal left
            answers[place] = (
                Error(place, result.code, result.message, result.retry_after_ms)
                if isinstance(result, Failure)
                else result
            )
            left -= 1
            if left == 0:
                done = [answer for answer in answers if answer is not None]
                self._answer(done, one=not isinstance(decoded, list))

        for place, event in enumerate(events):
            request = SubmitEvent(place, event)
            HANDLERS[SubmitEvent](self._feed.api, self._identity, request, partial(answered, place))

    def _answer(self, answers: list[Answer], *, one: bool) -> None:
        if self._transport.is_closing():
            return
        errors = [answer for answer in answers if isinstance(answer, Error)]
        status = status_of(ErrorCode(errors[0].code)) if errors else HTTPStatus.OK
        self._respond(status, encode(answers[0] if one else answers))
        self._answering = False
        if self._feed.draining or self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
            return
        self._http.start_next_cycle()
        self._restart_timer()
        self._transport.resume_reading()
        self._loop.call_soon(self._advance)

    def _refuse(self, why: _RefusedError) -> None:
        """Answer a request that was not read to its end, and end the connection.

        What the client still sends is read for a moment: a connection that is closed before would be reset,
        and the client would not see its answer.
        """
        if self._transport.is_closing():
            return
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._respond(why.status, encode(why.error), close=True)
        self._refused = True
        self._transport.write_eof()
        self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_S, self._transport.close)

    def _respond(self, status: HTTPStatus, body: bytes, *, close: bool = False) -> None:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if status is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="market"'))
        if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
            headers.append(("Retry-After", "1"))
        if close or self._feed.draining:
            headers.append(("Connection", "close"))
        self._send(h11.Response(status_code=status, headers=headers, reason=status.phrase))
        self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._transport.write(data)

    def _restart_timer(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(self._feed.settings.request_timeout_s, self._overdue)

    def _overdue(self) -> None:
        """End a connection that sends no whole request in time; one that waits for us is given more."""
        if self._answering:
            self._restart_timer()
        elif self._http.their_state is h11.IDLE and not self._http.trailing_data[0]:
            self._transport.close()
        else:
            why = "send a request in time"
            self._refuse(_RefusedError(HTTPStatus.REQUEST_TIMEOUT, ErrorCode.MALFORMED, why))


def _malformed(error: h11.RemoteProtocolError) -> _RefusedError:
    return _RefusedError(HTTPStatus(error.error_status_hint), ErrorCode.MALFORMED, str(error))


def _too_large(feed: Feed) -> _RefusedError:
    why = f"send at most {feed.settings.max_body_bytes} bytes at once"
    return _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorCode.MALFORMED, why)
