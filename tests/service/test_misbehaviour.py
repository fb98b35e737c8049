"""Clients that misbehave: each gets a clear answer or a numbered close, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from market.connection_settings import Limits
from market.protocol import (
    SUBPROTOCOL,
    CloseCode,
    Error,
    ErrorCode,
    Games,
    JoinGame,
    ListGames,
    ListPools,
    decode_server,
)
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import JOIN, connected, prediction
from tests.service.conftest import Client, Serve, Server, Start, until


class Raw:
    """A client that sends any bytes after a correct handshake, and reads until the end."""

    def __init__(self, server: Server, token: str) -> None:
        self.protocol = ClientProtocol(
            parse_uri("ws://market/ws"), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None
        )
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(server.path))
        request = self.protocol.connect()
        request.headers["Authorization"] = f"Bearer {token}"
        self.protocol.send_request(request)
        self.flush()
        self.frames: list[Frame] = []
        while not self.protocol.events:
            self.protocol.receive_data(self.socket.recv(65536))
        self.protocol.events_received()
        assert self.protocol.handshake_exc is None

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            with contextlib.suppress(BrokenPipeError):
                self.socket.sendall(data)

    def send(self, text: bytes) -> None:
        self.protocol.send_text(text)
        self.flush()

    def reply(self) -> Any:
        while not self.frames:
            data = self.socket.recv(65536)
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            self.flush()
            self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
            if not data:
                break
        return self.frames.pop(0) if self.frames else None

    def rest(self) -> int | None:
        """Read to the end; the code of the close."""
        try:
            while self.reply() is not None:
                pass
        except ConnectionResetError:
            self.protocol.receive_eof()
        self.socket.close()
        return self.protocol.close_rcvd.code if self.protocol.close_rcvd else None


UNLIMITED = Limits(requests_per_user_per_s=0, connections_per_user_per_s=0, connections_per_user=0)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
types = [
    "authenticate",
    "list_games",
    "join_game",
    "leave_game",
    "list_pools",
    "place_prediction",
    "placed",
    "",
]
requests = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(types) | json_values,
        "id": st.integers(-2, 2**54) | json_values,
        "game": st.sampled_from(["match-1", "match-2"]) | json_values,
        "pool": st.just("winner") | json_values,
        "option": st.integers(-1, 70) | json_values,
        "stake": st.integers(-1, 5) | json_values,
        "key": st.just("k") | json_values,
        "token": st.just("t") | json_values,
        "more": json_values,
    },
)
texts = st.one_of(
    requests.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=200).map(lambda value: value.encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
)


@given(st.lists(texts, min_size=1, max_size=20))
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_gets_an_answer_or_a_numbered_close(
    malformed: Callable[[], tuple[Server, Signer]], messages: list[bytes]
) -> None:
    server, signer = malformed()
    client = Raw(server, signer.issue("user-1", 600))
    for message in messages:
        client.send(message)
        frame = client.reply()
        if frame is None or frame.opcode is Opcode.CLOSE:
            break
        assert frame.opcode is Opcode.TEXT
        answer = decode_server(bytes(frame.data))
        if isinstance(answer, Error):
            assert answer.code in ErrorCode.__members__.values()
            assert answer.message
    client.protocol.send_close(1000) if client.protocol.state.name == "OPEN" else None
    client.flush()
    assert client.rest() in (1000, CloseCode.INVALID_TEXT, CloseCode.UNAUTHENTICATED)
    assert server.alive()


@given(st.binary(min_size=1, max_size=600))
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_in_the_place_of_frames_harm_nobody(
    malformed: Callable[[], tuple[Server, Signer]], data: bytes
) -> None:
    server, signer = malformed()
    client = Raw(server, signer.issue("user-1", 600))
    client.socket.sendall(data)
    client.socket.shutdown(socket.SHUT_WR)
    client.rest()
    assert server.alive()


@given(st.binary(min_size=1, max_size=600) | st.text(max_size=300).map(str.encode))
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_in_the_place_of_a_handshake_harm_nobody(
    malformed: Callable[[], tuple[Server, Signer]], data: bytes
) -> None:
    server, _ = malformed()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(server.path))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert server.alive()


@pytest.fixture
def malformed(serve: Serve, settings: Settings, market: Client, signer: Signer) -> Any:
    """A process, and another client of it that keeps working while the examples run."""
    server = serve(msgspec.structs.replace(settings, limits=UNLIMITED))

    async def works() -> None:
        async with connected(server.path, signer.issue("user-99", 60)) as client:
            await client.ask(JOIN)
            for number in range(3):
                reply = await client.ask(prediction(number, key=f"w{os.urandom(8).hex()}", stake=1))
                assert reply.id == number
                assert not isinstance(reply, Error)

    yield lambda: (server, signer)
    assert server.alive()
    asyncio.run(works())
    assert '"level":"error"' not in server.command.log(), server.command.log()


MALFORMED = [
    (b"", None, ErrorCode.MALFORMED),
    (b"{", None, ErrorCode.MALFORMED),
    (b"[]", None, ErrorCode.MALFORMED),
    (b'{"type":"list_games"}', None, ErrorCode.MALFORMED),
    (b'{"type":"list_games","id":-1}', None, ErrorCode.MALFORMED),
    (b'{"type":"list_games","id":"1"}', None, ErrorCode.MALFORMED),
    (b'{"type":"list_games","id":1,"more":1}', 1, ErrorCode.MALFORMED),
    (b'{"type":"join_game","id":1}', 1, ErrorCode.MALFORMED),
    (b'{"type":"join_game","id":1,"game":"a b"}', 1, ErrorCode.MALFORMED),
    (b'{"type":"join_game","id":1,"game":"match-1\\n"}', 1, ErrorCode.MALFORMED),
    (b'{"type":"place_prediction","id":1,"game":"g","pool":"p","option":0,"stake":0,"key":"k"}', 1,
     ErrorCode.MALFORMED),
    (b'{"type":"place_prediction","id":1,"game":"g","pool":"p","option":0,"stake":1.5,"key":"k"}', 1,
     ErrorCode.MALFORMED),
    (b'{"type":"settle","id":3}', 3, ErrorCode.UNKNOWN_TYPE),
    (b'{"type":"placed","id":3}', 3, ErrorCode.UNKNOWN_TYPE),
    (b'{"id":3}', 3, ErrorCode.MALFORMED),
    (b"[" * 4000, None, ErrorCode.MALFORMED),
]  # fmt: skip


def test_a_malformed_message_gets_a_numbered_error_with_its_id_and_the_connection_goes_on(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            for message, request, code in MALFORMED:
                error = await client.ask(message.decode())
                assert isinstance(error, Error), message
                assert (error.id, error.code) == (request, code), message
            assert isinstance(await client.ask(ListGames(1)), Games)

    asyncio.run(scenario())


def test_what_cannot_be_answered_is_closed_with_its_number(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def code(*messages: str | bytes) -> int | None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            for message in messages:
                await client.socket.send(message)
            return await client.closed()

    assert asyncio.run(code("x" * (settings.max_message_bytes + 1))) == CloseCode.MESSAGE_TOO_BIG
    assert asyncio.run(code(b'{"type":"list_games","id":1}')) == CloseCode.UNSUPPORTED_DATA
    raw = Raw(server, signer.issue("user-1", 60))
    raw.send(b"\xff\xfe")
    assert raw.rest() == CloseCode.INVALID_TEXT
    raw = Raw(server, signer.issue("user-1", 60))
    raw.protocol.send_text(b"", fin=False)
    for _ in range(1100):
        raw.protocol.send_continuation(b"", fin=False)
    raw.flush()
    assert raw.rest() == CloseCode.TOO_MANY_ERRORS


def test_who_keeps_sending_what_is_refused_is_closed(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(settings)

    async def scenario() -> None:
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            for _ in range(100):
                await client.socket.send("nonsense")
            assert await client.closed() == CloseCode.TOO_MANY_ERRORS

    asyncio.run(scenario())


def test_requests_in_flight_and_joined_games_are_bounded(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(msgspec.structs.replace(settings, max_requests_in_flight=3))

    async def scenario() -> None:
        raw = Raw(server, signer.issue("user-1", 60))
        for number in range(5):
            raw.protocol.send_text(msgspec.json.encode(ListGames(number)))
        raw.socket.sendall(b"".join(raw.protocol.data_to_send()))
        answers = [decode_server(bytes(raw.reply().data)) for _ in range(5)]
        refused = [answer for answer in answers if isinstance(answer, Error)]
        assert [(error.id, error.code) for error in refused] == [
            (3, ErrorCode.TOO_MANY_REQUESTS),
            (4, ErrorCode.TOO_MANY_REQUESTS),
        ]
        raw.socket.close()
        async with connected(server.path, signer.issue("user-1", 60)) as client:
            for number in range(20):
                market.hset("market:games", f"g{number}", f'{{"id":"g{number}","title":"","status":"live"}}')
            codes = [getattr(await client.ask(JoinGame(n, f"g{n}")), "code", None) for n in range(20)]
            assert codes == [None] * 16 + [ErrorCode.TOO_MANY_REQUESTS] * 4

    asyncio.run(scenario())


def test_a_handshake_is_bounded(serve: Serve, settings: Settings, market: Client) -> None:
    server = serve(settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(server.path))
        client.sendall(b"GET /ws HTTP/1.1\r\n" + b"X-More: 1234567890\r\n" * 1000)
        assert client.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_does_not_drain_is_closed_and_the_others_are_served(
    serve: Serve, settings: Settings, market: Client, signer: Signer
) -> None:
    server = serve(
        msgspec.structs.replace(
            settings, max_send_queue_bytes=8192, max_requests_in_flight=10_000, limits=UNLIMITED
        )
    )

    async def works() -> None:
        async with connected(server.path, signer.issue("user-2", 60)) as client:
            await client.ask(JOIN)
            await client.ask(prediction(1))
            await client.distribution(1)

    slow = Raw(server, signer.issue("user-1", 60))
    slow.socket.settimeout(0.2)
    message = msgspec.json.encode(ListPools(1, "match-1"))
    try:
        for _ in range(20_000):
            slow.send(message)
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        pass
    slow.socket.settimeout(10)
    asyncio.run(works())
    assert slow.rest() == CloseCode.SLOW_CONSUMER
    assert server.alive()


def test_a_slow_client_gets_the_latest_distribution_and_every_confirmation(
    serve: Serve, settings: Settings, market: Client, signer: Signer, start: Start
) -> None:
    """Its replies wait in its queue; of the distributions meanwhile only the last one does."""
    server = serve(
        msgspec.structs.replace(
            settings, flush_interval_ms=100, max_send_queue_bytes=1 << 22, max_requests_in_flight=10_000
        )
    )
    slow = Raw(server, signer.issue("user-1", 60))
    slow.send(msgspec.json.encode(JOIN))
    slow.reply()
    asked = 0
    market.hset("market:pool:winner", "question", "?" * 3000)
    for number in range(60):
        for _ in range(10):
            slow.send(msgspec.json.encode(ListPools(1000 + number, "match-1")))
            asked += 1

    async def others() -> int:
        async with connected(server.path, signer.issue("user-2", 60)) as client:
            await client.ask(JOIN)
            for number in range(8):
                await client.ask(prediction(number, stake=1))
                await client.distribution(number + 1)
            return client.distributions[-1].offset

    last = asyncio.run(others())
    offsets, answered = [], 0
    while answered < asked or last not in offsets:
        message: Any = decode_server(bytes(slow.reply().data))
        if hasattr(message, "offset"):
            offsets.append(message.offset)
        else:
            answered += 1
    slow.socket.close()
    assert answered == asked
    assert offsets == sorted(set(offsets))
    assert offsets[-1] == last
    assert len(offsets) < last
    until(server.healthy, "the api")
