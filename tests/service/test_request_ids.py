"""Log lines name the connection and the request that they are about."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market import keys
from market.origins import told_name
from market.protocol import Error, ErrorCode, GetAccount
from market.seed import seed
from market.tokens import load_signer
from tests.service.client import connected
from tests.service.conftest import Client, RedisServer, Server, until
from tests.service.shared_api import ask_http, running_api, settings_without_sql

TOLD = "0123456789abcdef0123456789abcdef"
MADE = re.compile(r"[0-9a-f]{32}\Z")


@pytest.fixture(scope="module")
def api(directory: Path, master: RedisServer, password_file: Path, token_key_file: Path) -> Iterator[Server]:
    settings = settings_without_sql(master, password_file, token_key_file)
    seed(settings, users=3, balance=1000)
    with running_api(settings, directory) as server:
        yield server


@pytest.fixture
def broken(master: RedisServer, api: Server) -> Iterator[Client]:
    """A market in which the account of user-1 is of a kind that no balance has."""
    with contextlib.closing(master.client()) as client:
        client.delete(keys.account("user-1"))
        client.rpush(keys.account("user-1"), "1")
        yield client
        client.delete(keys.account("user-1"))


def lines_about(api: Server, request: int) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in api.command.lines if line.startswith("{")]
    return [line for line in found if line.get("request") == request]


def failing(api: Server, token: str, request: int, told: str | None) -> dict[str, Any]:
    """The log line of a request that fails at the data."""

    async def scenario() -> None:
        async with connected(api.path, token, request_id=told) as user:
            answer = await user.ask(GetAccount(request))
            assert isinstance(answer, Error)
            assert answer.code == ErrorCode.INTERNAL

    asyncio.run(scenario())
    until(lambda: lines_about(api, request), "the log line")
    (line,) = lines_about(api, request)
    return line


@pytest.mark.usefixtures("broken")
def test_a_failure_is_logged_with_its_connection_and_request_and_no_secret(
    api: Server, token_key_file: Path
) -> None:
    token = load_signer(str(token_key_file)).issue("user-1", 60)
    line = failing(api, token, 41, TOLD)
    assert (line["level"], line["connection"], line["request"]) == ("error", TOLD, 41)
    assert MADE.match(failing(api, token, 42, None)["connection"])
    assert token not in api.command.log()
    assert token_key_file.read_text() not in api.command.log()


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("number", "told"), [(51, "x" * 65), (52, "short"), (53, "with a space"), (54, 'a"b\\c{}ddd')]
)
def test_a_name_that_is_none_is_replaced(api: Server, token_key_file: Path, number: int, told: str) -> None:
    token = load_signer(str(token_key_file)).issue("user-1", 60)
    assert MADE.match(failing(api, token, number, told)["connection"])


def test_a_line_of_the_process_itself_names_no_request(api: Server) -> None:
    line = next(json.loads(line) for line in api.command.lines if "listening" in line)
    assert not {"connection", "request"} & line.keys()


@pytest.mark.parametrize(("family", "believed"), [(socket.AF_UNIX, TOLD), (socket.AF_INET, None)])
def test_a_name_is_believed_on_a_unix_socket_only(family: socket.AddressFamily, believed: str | None) -> None:
    with socket.socket(family) as connection:
        assert told_name(asyncio.BaseTransport({"socket": connection}), [TOLD]) == believed
        assert told_name(asyncio.BaseTransport({"socket": connection}), [TOLD, TOLD]) is None


def test_an_answer_over_http_says_what_it_is_called(api: Server, token_key_file: Path) -> None:
    token = load_signer(str(token_key_file)).issue("user-2", 60)
    assert ask_http(api.path, token, request_id=TOLD).headers["X-Request-Id"] == TOLD
    made = {ask_http(api.path, token).headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2
    assert all(MADE.match(name) for name in made)
    assert MADE.match(ask_http(api.path, "no").headers["X-Request-Id"])
