"""One client's plain HTTP connection: `h11`'s Sans-I/O protocol under a thin asyncio one."""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import h11
import msgspec

from market import metrics, origins
from market.addresses import HEADER, client_address
from market.handlers import handle
from market.http.openapi import document
from market.http.routes import Route, find, read
from market.http.statuses import status_of
from market.limiter import in_ms
from market.protocol import Error, ErrorCode, Reply, encode
from market.store import Failure, failure
from market.tokens import Identity, TokenError

if TYPE_CHECKING:
    from market.server import Api

_log = logging.getLogger(__name__)

MAX_HEADER_BYTES: Final = 16_384
REQUEST_TIMEOUT_S: Final = 10.0
"""From the first byte of a request to its last."""
IDLE_TIMEOUT_S: Final = 60.0
"""Between two requests of a connection."""

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


@cache
def description() -> bytes:
    """The OpenAPI document of this version."""
    return msgspec.json.format(msgspec.json.encode(document("2")), indent=2)


class HttpConnection(asyncio.Protocol):
    """Answers one request after the other; the next one is read when the last one is answered.

    Requests that came together are answered in as many turns of the loop, and none is while the client leaves
    too much unread.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._request: h11.Request | None = None
        self._body = b""
        self._answering = False
        self._is_paused = False
        self._is_counted = False
        self._refused_stranger = False
        self._name: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """What the present request is called: as nginx calls it, else a name of its own."""
        if self._name is None:
            self._name = origins.new_name()
        return self._name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._api.http_connections.add(self)
        self._wait(REQUEST_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        self._api.http_connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._wire.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        self._wire.receive_data(b"")
        self._advance()
        return self._transport is not None and not self._transport.is_closing()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_paused = False
        if not self._answering:
            self._go_on()

    def finish(self) -> None:
        """End as soon as the present request, if any, is answered."""
        if not self._answering:
            self._hang_up()

    def cut_off(self) -> None:
        """End now, whatever was not sent yet."""
        if self._transport is not None:
            self._transport.abort()

    def _hang_up(self) -> None:
        """End when the client has read the last answer, or takes too long to."""
        if self._transport is not None:
            self._wait(REQUEST_TIMEOUT_S)
            self._transport.close()

    def _go_on(self) -> None:
        """Read the next request, with the next turn of the loop."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._advance)

    def _wait(self, timeout_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.cut_off)

    def _is_ready(self) -> bool:
        """Whether the next request may be answered."""
        gone = self._transport is None or self._transport.is_closing()
        return not (gone or self._answering or self._is_paused)

    def _advance(self) -> None:
        while self._is_ready():
            try:
                event = self._wire.next_event()
            except h11.RemoteProtocolError as error:
                error.__traceback__ = None  # it has the error itself: nothing would ever free this connection
                self._answering = True
                status = HTTPStatus(error.error_status_hint)
                self._refuse(status, Failure(ErrorCode.MALFORMED, str(error)), close=True)
                return
            if event in (h11.NEED_DATA, h11.PAUSED):
                if self._wire.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                return
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
                told = _header(event, origins.HEADER.lower().encode())
                self._name = origins.told_name(self._transport, [told] if told else [])
                self._wait(REQUEST_TIMEOUT_S)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._api.settings.max_message_bytes:
                    self._answering = True
                    limit = self._api.settings.max_message_bytes
                    why = Failure(ErrorCode.MALFORMED, f"send at most {limit} bytes")
                    self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, close=True)
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._answering = True
                if self._request is not None:
                    self._answer(self._request)
                return
            else:
                self._hang_up()
                return

    def _answer(self, request: h11.Request) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
        method, target = request.method.decode("ascii"), request.target.decode("ascii")
        path, _, query = target.partition("?")
        before = origins.enter(origins.Origin(self))
        try:
            if method == "GET" and path in _PAGES:
                self._page(path)
            else:
                self._operate(request, method, path, query)
        except Exception:
            _log.exception("the handling of %s %s failed", method, path)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, failure(ErrorCode.INTERNAL))
        finally:
            origins.enter(before)

    def _page(self, path: str) -> None:
        if path == "/openapi.json":
            self._respond(HTTPStatus.OK, description())
            return
        if path == "/metrics":
            self._respond(HTTPStatus.OK, self._api.metrics.page(), content_type=metrics.CONTENT_TYPE)
            return
        problem = None if path == "/livez" else self._api.problem()
        status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
        self._respond(status, (problem or "ok").encode(), content_type=_TEXT)

    def _operate(self, asked: h11.Request, method: str, path: str, query: str) -> None:
        found = find(method, path, self._api.kinds)
        if isinstance(found, list):
            if not found:
                self._refuse(HTTPStatus.NOT_FOUND, Failure(ErrorCode.UNKNOWN_TYPE, "see /openapi.json"))
                return
            allowed = ", ".join(sorted(found))
            self._refuse(
                HTTPStatus.METHOD_NOT_ALLOWED,
                Failure(ErrorCode.UNKNOWN_TYPE, f"use {allowed}"),
                headers=[("Allow", allowed)],
            )
            return
        route, in_path = found
        if wait_s := self._wait_of_address(asked):
            self._api.audit.strangers += 1
            why = Failure(ErrorCode.RATE_LIMITED, "this address asks too often", in_ms(wait_s))
            self._refuse(status_of(why.code), why, close=not self._is_counted)
            return
        try:
            identity = self._identify(asked)
        except TokenError as error:
            self._note(route, None, error.code)
            challenge = [("WWW-Authenticate", 'Bearer realm="market"')] if error.status == 401 else []
            self._refuse(HTTPStatus(error.status), Failure(error.code, str(error)), headers=challenge)
            return
        if wait_s := self._api.limiter.request(identity, None):
            self._note(route, identity.user, ErrorCode.RATE_LIMITED)
            self._done(Failure(ErrorCode.RATE_LIMITED, "ask less often", in_ms(wait_s)))
            return
        if self._body and (_header(asked, b"content-type") or _JSON).partition(";")[0].strip() != _JSON:
            why = Failure(ErrorCode.MALFORMED, f"send {_JSON}")
            self._note(route, identity.user, why.code)
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
            return
        request = read(route, in_path, query, self._body, _header(asked, b"idempotency-key"))
        if isinstance(request, Failure):
            self._note(route, identity.user, request.code)
            self._done(request)
        else:
            handle(self._api, identity, request, self._done)

    def _wait_of_address(self, asked: h11.Request) -> float:
        """0.0 when the address may ask, else for how long not; its connection counts with the first request.

        That is before the token is looked at: who has none is limited too.
        """
        told = _header(asked, HEADER.lower().encode())
        address = client_address(self._transport, [told] if told else [])
        wait_s = 0.0 if self._is_counted else self._api.limiter.connection_from(address)
        self._is_counted = self._is_counted or not wait_s
        return wait_s or self._api.limiter.request(None, address)

    def _note(self, route: Route, user: str | None, code: int) -> None:
        """Have the audit log say that a request was refused before its handler; None: a stranger's."""
        kind = str(route.request.__struct_config__.tag)
        if user is None:
            self._api.audit.note_stranger(kind, code, again=self._refused_stranger)
            self._refused_stranger = True
        else:
            self._api.audit.note_read(user, kind, code)

    def _identify(self, asked: h11.Request) -> Identity:
        scheme, _, token = (_header(asked, b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError("show one token: Authorization: Bearer TOKEN")
        return self._api.admission.verify(token.strip())

    def _done(self, result: Reply | Failure) -> None:
        if isinstance(result, Failure):
            self._refuse(status_of(result.code), result)
        else:
            shown = msgspec.to_builtins(result)
            del shown["id"]
            self._respond(HTTPStatus.OK, encode(shown))

    def _refuse(
        self,
        status: HTTPStatus,
        why: Failure,
        *,
        headers: list[tuple[str, str]] | None = None,
        close: bool = False,
    ) -> None:
        headers = list(headers or ())
        if why.retry_after_ms is not None:
            headers.append(("Retry-After", str(-(-why.retry_after_ms // 1000))))
        body = encode(Error(None, why.code, why.message, why.retry_after_ms))
        self._respond(status, body, headers=headers, close=close)

    def _respond(
        self,
        status: HTTPStatus,
        body: bytes,
        *,
        headers: list[tuple[str, str]] | None = None,
        content_type: str = _JSON,
        close: bool = False,
    ) -> None:
        if self._transport is None:
            return
        close = close or self._api.refusal() is not None
        every = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            (origins.HEADER, self.name),
            *(headers or ()),
            *([("Connection", "close")] if close else ()),
        ]
        self._send(h11.Response(status_code=status, headers=every, reason=status.phrase.encode()))
        self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        self._answering = False
        self._name = None
        if self._wire.our_state is h11.MUST_CLOSE or self._wire.their_state is not h11.DONE:
            self._hang_up()
            return
        self._wire.start_next_cycle()
        self._wait(IDLE_TIMEOUT_S)
        if not self._is_paused:
            self._go_on()

    def _send(self, event: h11.Event) -> None:
        data = self._wire.send(event)
        if self._transport is not None and data:
            self._transport.write(data)


def _header(request: h11.Request, name: bytes) -> str | None:
    """The value of a header that is there once."""
    values = [value for key, value in request.headers if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


_PAGES: Final = frozenset(("/livez", "/readyz", "/healthz", "/openapi.json", "/metrics"))
