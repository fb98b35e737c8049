"""Calls asked of a Redis as the stores ask them, without a process between."""

from __future__ import annotations

from typing import TypeVar

import redis

from market.protocol import ErrorCode
from market.store import Call, Failure
from tests.service.conftest import Client

T = TypeVar("T")


def ask(client: Client, call: Call[T]) -> T | Failure:
    """The result of a call."""
    try:
        reply = client.execute_command(*call.command)
    except redis.exceptions.NoScriptError:
        assert call.script is not None
        client.script_load(call.script.text)
        reply = client.execute_command(*call.command)
    return call.read(reply)


def granted(client: Client, call: Call[T]) -> T:
    """The result of a call that is to succeed."""
    result = ask(client, call)
    assert not isinstance(result, Failure), result
    return result


def refused(client: Client, call: Call[T]) -> ErrorCode:
    """The error of a call that is to fail, and to change nothing that can be seen."""
    before = contents(client)
    result = ask(client, call)
    assert isinstance(result, Failure), result
    assert contents(client) == before
    return result.code


def contents(client: Client) -> dict[bytes, bytes]:
    """Everything in Redis, as it would be saved."""
    names = sorted(client.scan_iter(count=1000))
    return {name: client.dump(name) for name in names}
