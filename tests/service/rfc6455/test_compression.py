"""RFC 7692: permessage-deflate, where it is negotiated."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from market.compression import Compressors
from market.connection_settings import Compression
from tests.service.rfc6455.conftest import MAX_MESSAGE_BYTES, Api, Talk
from tests.service.rfc6455.peer import (
    CONT,
    PING,
    RSV1,
    TEXT,
    closing,
    fragmented,
    frame,
    inflated,
    request,
    told,
)

DEFLATE = "permessage-deflate"
GRANTED = f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="

OFFERS = {
    DEFLATE: GRANTED + "10",
    f"{DEFLATE}; client_max_window_bits": GRANTED + "10; client_max_window_bits=10",
    f"{DEFLATE}; client_max_window_bits=15": GRANTED + "10; client_max_window_bits=10",
    f"{DEFLATE}; client_max_window_bits=9": GRANTED + "10; client_max_window_bits=9",
    f"{DEFLATE}; server_max_window_bits=15": GRANTED + "10",
    f"{DEFLATE}; server_max_window_bits=9": GRANTED + "9",
    f'{DEFLATE}; server_max_window_bits="9"': GRANTED + "9",
    f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover": GRANTED + "10",
    f"{DEFLATE}; server_max_window_bits=8, {DEFLATE}": GRANTED + "10",
    f"x-other, {DEFLATE}": GRANTED + "10",
    f"{DEFLATE}, {DEFLATE}; server_max_window_bits=9": GRANTED + "10",
    f"{DEFLATE}; server_max_window_bits=8": None,
    f"{DEFLATE}; server_max_window_bits=16": None,
    f"{DEFLATE}; server_max_window_bits=010": None,
    f"{DEFLATE}; server_max_window_bits": None,
    f"{DEFLATE}; client_max_window_bits=7": None,
    f"{DEFLATE}; server_no_context_takeover=1": None,
    f"{DEFLATE}; server_no_context_takeover; server_no_context_takeover": None,
    f"{DEFLATE}; unknown": None,
    "permessage-bzip2": None,
}


@pytest.mark.parametrize(("offer", "granted"), OFFERS.items())
def test_an_offer_is_granted_without_memory_or_declined(api: Api, offer: str, granted: str | None) -> None:
    with api.peer() as peer:
        answer = peer.open(api.upgrade(**{"Sec-WebSocket-Extensions": offer}))
        assert answer.headers.get("Sec-WebSocket-Extensions") == granted


def test_by_default_no_offer_is_granted() -> None:
    assert not Compressors(Compression()).factories


def deflated(data: bytes, *, bits: int = 15, level: int = 6, final: bool = False) -> bytes:
    encoder = zlib.compressobj(level=level, wbits=-bits)
    if final:
        return encoder.compress(data) + encoder.flush(zlib.Z_FINISH) + b"\x00"
    return (encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


ANSWER = "compressed error 7 4001"
MESSAGE = request(300)


@pytest.mark.parametrize(
    "payload",
    [
        deflated(MESSAGE),
        deflated(MESSAGE, bits=9),
        deflated(MESSAGE, level=0),
        deflated(MESSAGE, final=True),
        deflated(request(MAX_MESSAGE_BYTES)),
    ],
    ids=["as usual", "a small window", "stored", "with a last block", "the largest"],
)
def test_a_compressed_message_is_answered(talk: Talk, payload: bytes) -> None:
    assert talk(frame(TEXT, payload, rsv=RSV1), offer=DEFLATE) == [ANSWER, "close 1000"]


def test_each_message_stands_for_itself(talk: Talk) -> None:
    sent = [
        frame(TEXT, deflated(MESSAGE), rsv=RSV1),
        frame(TEXT, MESSAGE),
        fragmented(MESSAGE[:9], MESSAGE[9:]),
    ]
    assert talk(*sent, *sent, offer=DEFLATE) == [ANSWER] * 6 + ["close 1000"]


@pytest.mark.parametrize("size", [1, 7, 20])
def test_a_compressed_message_may_come_in_fragments(talk: Talk, size: int) -> None:
    payload = deflated(MESSAGE)
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    sent = fragmented(*parts, rsv=RSV1, between=frame(PING, b"a"))
    pongs = ["pong 61"] * (len(parts) - 1)
    assert talk(sent, offer=DEFLATE) == [*pongs, ANSWER, "close 1000"]


def test_a_message_of_no_bytes_may_be_compressed(talk: Talk) -> None:
    assert talk(frame(TEXT, b"\x00", rsv=RSV1), offer=DEFLATE)[0].endswith("error None 4000")


VIOLATIONS = {
    "no deflate": frame(TEXT, b"\xff\xff\xff", rsv=RSV1),
    "the bit in a continuation": frame(TEXT, deflated(MESSAGE), rsv=RSV1, fin=False) + frame(CONT, rsv=RSV1),
    "the bit in the continuation of a plain message": frame(TEXT, b"{", fin=False)
    + frame(CONT, deflated(b"}"), rsv=RSV1),
    "the bit in a ping": frame(PING, b"", rsv=RSV1),
    "another bit": frame(TEXT, deflated(MESSAGE), rsv=RSV1 | 0x20),
}


@pytest.mark.parametrize("sent", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_a_protocol_error(talk: Talk, sent: bytes) -> None:
    assert talk(sent, offer=DEFLATE, hang=True) == ["close 1002"]


def test_the_bit_is_a_violation_where_compression_was_declined(talk: Talk) -> None:
    sent = frame(TEXT, deflated(MESSAGE), rsv=RSV1)
    assert talk(sent, offer=f"{DEFLATE}; unknown", hang=True) == ["close 1002"]


def test_the_memory_of_an_earlier_message_is_a_violation(talk: Talk) -> None:
    """The client was told to keep none: the second message points at what the server has forgotten."""
    encoder = zlib.compressobj(wbits=-15)
    first, second = (
        (encoder.compress(MESSAGE) + encoder.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
        for _ in range(2)
    )
    sent = frame(TEXT, first, rsv=RSV1) + frame(TEXT, second, rsv=RSV1)
    assert talk(sent, offer=DEFLATE, hang=True) == [ANSWER, "close 1002"]


def test_compressed_text_has_to_be_utf_8_too(talk: Talk) -> None:
    assert talk(frame(TEXT, deflated(b"\xff" * 300), rsv=RSV1), offer=DEFLATE) == ["close 1007"]


def peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


@pytest.mark.parametrize("parts", [1, 3])
def test_what_inflates_beyond_the_limit_is_closed_before_it_takes_memory(
    api: Api, talk: Talk, parts: int
) -> None:
    bomb = deflated(b" " * (100 << 20))
    assert len(bomb) < MAX_MESSAGE_BYTES
    size = len(bomb) // parts + 1
    before_kib = peak_kib(api.server.pid)
    sent = fragmented(*(bomb[start : start + size] for start in range(0, len(bomb), size)), rsv=RSV1)
    assert talk(sent, offer=DEFLATE, hang=True) == ["close 1009"]
    assert peak_kib(api.server.pid) - before_kib < 10 << 10


def test_a_message_of_one_byte_too_many_is_too_big(talk: Talk) -> None:
    sent = frame(TEXT, deflated(request(MAX_MESSAGE_BYTES + 1)), rsv=RSV1)
    assert talk(sent, offer=DEFLATE, hang=True) == ["close 1009"]


def test_a_broadcast_is_compressed_for_those_only_who_asked_for_it(api: Api) -> None:
    """And so that a window of the size that was agreed on is enough to read it."""
    join = frame(TEXT, b'{"type":"join_game","id":1,"game":"match-1"}')
    place = (
        b'{"type":"place_prediction","id":2,"game":"match-1","pool":"winner","option":0,"stake":1,"key":"%s"}'
    )
    with api.peer() as plain, api.peer() as small, api.peer() as smaller:
        offers = [(plain, None), (small, DEFLATE), (smaller, f"{DEFLATE}; server_max_window_bits=9")]
        for peer, offer in offers:
            peer.open(api.upgrade(**({"Sec-WebSocket-Extensions": offer} if offer else {})))
            peer.send(join)
            assert told(*next(peer.frames())).endswith("joined 1")
        plain.send(frame(TEXT, place % b"rfc7692"))
        received = []
        for peer, bits in ((plain, 0), (small, 10), (smaller, 9)):
            for first, payload in peer.frames():
                assert first == (0x81 if not bits or not first & RSV1 else 0xC1)
                message = inflated(payload, bits) if first & RSV1 else payload
                if json.loads(message)["type"] == "distribution":
                    received.append((bool(first & RSV1), message))
                    break
            peer.send(closing(1000))
        assert [compressed for compressed, _ in received] == [False, True, True]
        assert len({message for _, message in received}) == 1
