"""What a plain HTTP connection does to the process when its client sends much and reads nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from market.connection import Connection
from market.http import connection as http_connection
from market.server import Api
from market.settings import Settings
from tests.service.conftest import RedisServer
from tests.service.shared_api import settings_without_sql

REQUEST = b"GET /openapi.json HTTP/1.1\r\nHost: market\r\n\r\n"
LAST = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture
def quiet(master: RedisServer, password_file: Path, token_key_file: Path) -> Settings:
    return settings_without_sql(master, password_file, token_key_file)


@contextlib.asynccontextmanager
async def serving(settings: Settings, path: Path) -> AsyncIterator[tuple[Api, list[dict[str, Any]]]]:
    """A process that listens, and what went wrong in its loop."""
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    api = Api(settings)
    listener = await loop.create_unix_server(lambda: Connection(api), str(path))
    async with listener:
        yield api, faults


async def longest_gap_s(seconds: float) -> float:
    """For how long at most the loop did nothing else."""
    loop = asyncio.get_running_loop()
    longest_s, end_s = 0.0, loop.time() + seconds
    while loop.time() < end_s:
        before_s = loop.time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, loop.time() - before_s)
    return longest_s


def test_requests_that_come_together_hold_up_nobody_and_are_all_answered(
    quiet: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = http_connection.HttpConnection._page

    def slowly(self: Any, path: str) -> None:
        time.sleep(0.002)
        page(self, path)

    monkeypatch.setattr(http_connection.HttpConnection, "_page", slowly)

    async def scenario() -> tuple[float, int, int]:
        async with serving(quiet, tmp_path / "api.sock"):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "api.sock"), limit=1024)
            writer.write(REQUEST * 399 + LAST)
            writer.write_eof()
            gap_s = await longest_gap_s(1)
            written = len(reader._buffer)  # type: ignore[attr-defined]
            answers = 0
            while data := await reader.read(1 << 20):
                answers += data.count(b"HTTP/1.1 200 OK")
            writer.close()
        return gap_s, written, answers

    gap_s, written, answers = uvloop.run(scenario())
    assert gap_s < 0.3
    assert written < 1 << 20
    assert answers == 400


def test_nothing_is_answered_while_the_client_reads_nothing_and_its_end_comes_in_time(
    quiet: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "IDLE_TIMEOUT_S", 0.5)

    async def scenario() -> int:
        asked = 0
        page = http_connection.HttpConnection._page

        def counting(self: Any, path: str) -> None:
            nonlocal asked
            asked += 1
            page(self, path)

        monkeypatch.setattr(http_connection.HttpConnection, "_page", counting)
        async with serving(quiet, tmp_path / "api.sock") as (api, _):
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, str(tmp_path / "api.sock"))
            transport.pause_reading()
            transport.write(REQUEST * 400)
            try:
                async with asyncio.timeout(10):
                    while not asked or api.http_connections:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            finally:
                transport.abort()
        return asked

    assert uvloop.run(scenario()) < 100


def test_a_body_in_parts_that_is_too_long_is_refused_once(quiet: Settings, tmp_path: Path) -> None:
    async def scenario() -> tuple[bytes, list[dict[str, Any]]]:
        async with serving(quiet, tmp_path / "api.sock") as (_, faults):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "api.sock"))
            head = b"POST /v2/account/deposits HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + (b"1400\r\n" + b"a" * 0x1400 + b"\r\n") * 3)
            answer = await reader.read(65_536)
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    answer += data
            writer.close()
        return answer, faults

    answer, faults = uvloop.run(scenario())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert not faults
