"""RFC 6455 section 4: the opening handshake."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.rfc6455.conftest import Api
from tests.service.rfc6455.peer import TEXT, closing, frame, request, told, upgrade

ACCEPTED: dict[str, dict[str, Any]] = {
    "as in the RFC": {},
    "names of headers in any case": {"drop": ("Upgrade",), "uPGRADE": "websocket"},
    "the upgrade in any case": {"Upgrade": "WebSocket"},
    "more than an upgrade": {"Connection": "keep-alive, Upgrade"},
    "connection in two headers": {"Connection": "keep-alive\nUpgrade"},
    "a query": {"line": "GET /ws?from=here HTTP/1.1"},
    "a page of ours": {"Origin": "https://play.market.example"},
    "extensions that nobody knows": {"Sec_WebSocket_Extensions": "x-unknown; a=1, bbf-usp-protocol"},
    "several protocols": {"Sec_WebSocket_Protocol": "other, market.v1"},
    "protocols in two headers": {"Sec_WebSocket_Protocol": "other\nmarket.v1"},
}

REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "HTTP/1.0": (505, {"line": "GET /ws HTTP/1.0"}),
    "HTTP/2.0": (400, {"line": "GET /ws HTTP/2.0"}),
    "no version of HTTP": (400, {"line": "GET /ws"}),
    "no request": (400, {"line": "\x16\x03\x01\x02\x00"}),
    "a place beside": (404, {"line": "GET /wss HTTP/1.1"}),
    "a place that is not ASCII": (400, {"line": "GET /w\xe4 HTTP/1.1"}),
    "a line that is too long": (414, {"line": f"GET /ws?{'x' * 9000} HTTP/1.1"}),
    "too many bytes": (431, {"X_More": "\n".join(["x" * 1000] * 20)}),
    "a header that is none": (400, {"Bad header": "x"}),
    "no host": (400, {"drop": ("Host",)}),
    "two hosts": (400, {"Host": "market\nother"}),
    "no upgrade": (426, {"drop": ("Upgrade",)}),
    "another upgrade": (426, {"Upgrade": "h2c"}),
    "no connection": (426, {"drop": ("Connection",)}),
    "another connection": (426, {"Connection": "keep-alive"}),
    "no key": (400, {"drop": ("Sec-WebSocket-Key",)}),
    "an empty key": (400, {"Sec_WebSocket_Key": ""}),
    "a key that is not base64": (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}),
    "a key of 15 bytes": (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25j"}),
    "two keys": (400, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==\nAAAAAAAAAAAAAAAAAAAAAA=="}),
    "no version": (400, {"drop": ("Sec-WebSocket-Version",)}),
    "an older version": (426, {"Sec_WebSocket_Version": "8"}),
    "a later version": (426, {"Sec_WebSocket_Version": "14"}),
    "a version that is no number": (426, {"Sec_WebSocket_Version": "thirteen"}),
    "two versions": (426, {"Sec_WebSocket_Version": "13\n14"}),
    "no protocol": (400, {"drop": ("Sec-WebSocket-Protocol",)}),
    "another protocol": (400, {"Sec_WebSocket_Protocol": "market.v0"}),
    "a body": (400, {"Content_Length": "5"}),
    "a body in chunks": (400, {"Transfer_Encoding": "chunked"}),
    "a page of others": (403, {"Origin": "https://elsewhere.example"}),
    "a page of ours over HTTP": (403, {"Origin": "http://play.market.example"}),
    "a page whose name begins like ours": (403, {"Origin": "https://play.market.example.org"}),
    "a page without an origin": (403, {"Origin": "null"}),
    "two origins": (400, {"Origin": "https://play.market.example\nhttps://play.market.example"}),
    "a token that is none": (401, {"Authorization": "Bearer nonsense"}),
    "another scheme": (401, {"Authorization": "Basic YTpi"}),
    "extensions that cannot be read": (400, {"Sec_WebSocket_Extensions": ";;"}),
}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_correct_request_is_accepted(api: Api, changes: dict[str, Any]) -> None:
    with api.peer() as peer:
        answer = peer.open(api.upgrade(**changes))
        assert {name: value for name, value in answer.headers.items() if name != "Date"} == {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol": "market.v1",
        }
        peer.send(closing(1000))
        assert [told(*one) for one in peer.frames()] == ["close 1000"]


@pytest.mark.parametrize(("status", "changes"), REFUSED.values(), ids=REFUSED.keys())
def test_a_fault_is_refused_with_its_status_and_the_connection_ends(
    api: Api, status: int, changes: dict[str, Any]
) -> None:
    with api.peer() as peer:
        peer.send(api.upgrade(**changes))
        answer = peer.answer()
        assert answer.status == status
        assert answer.body
        assert peer.ended()


@pytest.mark.parametrize("line", ["POST /ws HTTP/1.1", "GET /elsewhere HTTP/1.1", "OPTIONS * HTTP/1.1"])
def test_another_method_or_place_is_no_upgrade(api: Api, line: str) -> None:
    with api.peer() as peer:
        peer.send(api.upgrade(line=line))
        assert peer.answer().status == 404


@pytest.mark.parametrize("fault", ["an older version", "no upgrade"])
def test_who_does_not_speak_our_version_is_told_it(api: Api, fault: str) -> None:
    with api.peer() as peer:
        peer.send(api.upgrade(**REFUSED[fault][1]))
        headers = peer.answer().headers
        assert (headers["Sec-WebSocket-Version"], headers["Upgrade"]) == ("13", "websocket")


def test_the_refusal_of_a_token_says_what_is_expected(api: Api) -> None:
    with api.peer() as peer:
        peer.send(api.upgrade(Authorization="Bearer nonsense"))
        assert peer.answer().headers["WWW-Authenticate"] == 'Bearer realm="market"'


def test_without_a_token_the_handshake_is_accepted_and_messages_wait_for_it(api: Api) -> None:
    with api.peer() as peer:
        peer.open(upgrade())
        peer.send(frame(TEXT, b'{"type":"list_games","id":7}') + closing(1000))
        assert [told(*one) for one in peer.frames()] == ["error 7 4010", "close 1000"]


def test_a_message_may_follow_the_request_at_once(api: Api) -> None:
    with api.peer() as peer:
        peer.open(api.upgrade() + frame(TEXT, request()) + closing(1000))
        assert [told(*one) for one in peer.frames()] == ["error 7 4001", "close 1000"]


def test_a_handshake_may_come_byte_by_byte(api: Api) -> None:
    with api.peer() as peer:
        peer.send(api.upgrade(), pieces=1)
        assert peer.answer().status == 101
