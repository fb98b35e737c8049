"""One API process for the whole suite, with a Redis of its own, and the way in which its tests talk to it.

It lives as long as the session does: at the other tests' Redis it would publish what they left overdue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from market.connection_settings import Compression, Limits
from market.seed import seed
from market.tokens import load_signer
from tests.service.conftest import RedisServer, Server, end
from tests.service.rfc6455.peer import Peer, closing, frame, told, upgrade
from tests.service.shared_api import running_api, settings_without_sql

MAX_MESSAGE_BYTES = 1 << 17


@dataclass
class Api:
    """The process, a token that it accepts, and its Redis."""

    server: Server
    token: str
    redis: RedisServer

    def upgrade(self, **changes: Any) -> bytes:
        return upgrade(**{"Authorization": f"Bearer {self.token}"} | changes)

    def peer(self) -> Peer:
        return Peer(self.server.path)


@pytest.fixture(scope="session")
def api(directory: Path, password_file: Path, token_key_file: Path) -> Iterator[Api]:
    redis = RedisServer(directory / "redis-rfc6455", password_file.read_text().strip())
    redis.start()
    settings = settings_without_sql(
        redis,
        password_file,
        token_key_file,
        flush_interval_ms=100,
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_send_queue_bytes=1 << 20,
        allowed_origins=["https://play.market.example"],
        limits=Limits(requests_per_user_per_s=0, connections_per_user_per_s=0, connections_per_user=0),
        compression=Compression(negotiable=True, window_bits=10, min_bytes=100),
    )
    try:
        seed(settings, users=2, balance=1000)
        with running_api(settings, directory) as server:
            yield Api(server, load_signer(str(token_key_file)).issue("user-1", 3600), redis)
            assert end(server.command.process) == 0, server.command.log()
            assert '"level":"error"' not in server.command.log(), server.command.log()
    finally:
        redis.stop()


Talk = Callable[..., list[str]]


@pytest.fixture
def talk(api: Api) -> Talk:
    """Sends bytes after a handshake; what the server tells until it closes, or after our own close.

    A script that does not end in a close of the server's is followed by a close and by what has to be
    ignored after it.
    """

    def run(*sent: bytes, offer: str | None = None, pieces: int = 0, hang: bool = False) -> list[str]:
        changes = {"Sec-WebSocket-Extensions": offer} if offer is not None else {}
        with api.peer() as peer:
            peer.open(api.upgrade(**changes))
            for data in sent:
                peer.send(data, pieces=pieces)
            if not hang:
                peer.send(closing(1000) + frame(9, b"ignored"))
            return [told(*one) for one in peer.frames()]

    return run
