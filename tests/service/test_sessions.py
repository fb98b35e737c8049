"""A connection's requests, when the service itself is at fault."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market import sessions
from market.connection import Connection
from market.protocol import ErrorCode, GetAccount
from market.server import Api
from market.settings import Settings
from market.tokens import Signer
from tests.service.client import connected


def test_a_request_whose_handler_fails_is_answered_and_waited_for_no_longer(
    settings: Settings, tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sessions, "handle", fails)
    one_at_a_time = msgspec.structs.replace(settings, max_requests_in_flight=1)

    async def scenario() -> list[ErrorCode]:
        api = Api(one_at_a_time)
        await api.start()
        path = tmp_path / "api.sock"
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(api), str(path))
        async with server, connected(path, signer.issue("user-1", 60)) as client:
            codes = [(await client.ask(GetAccount(number))).code for number in range(3)]
            await client.end()
            await api.drain()
        return codes

    assert asyncio.run(scenario()) == [ErrorCode.INTERNAL] * 3
