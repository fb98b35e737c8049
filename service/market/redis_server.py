"""How one Redis server or Sentinel is reached by what may wait for its replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry

from market.settings import RedisEndpoint, read_secret

Server = tuple[str, int]
"""Host and port."""


def server(address: str) -> Server:
    """The host and the port of HOST:PORT."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def connect(
    where: Server,
    account: RedisEndpoint,
    *,
    timeout_s: float,
    connect_timeout_s: float,
    greet: Callable[[Any], None] | None = None,
) -> redis.Redis:
    """A client of a server under an endpoint's account; the caller closes it.

    Args:
        where: the server, which need not be the endpoint's own.
        account: whose user and password are used.
        timeout_s: how long a reply may take.
        connect_timeout_s: how long a connection may take.
        greet: is called with each new connection, and has to call its `on_connect`.
    """
    host, port = where
    return redis.Redis(
        host=host,
        port=port,
        username=account.user,
        password=read_secret(account.password_file),
        socket_timeout=timeout_s,
        socket_connect_timeout=connect_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        # What library this is would take two round trips more to say, of up to 0.31 s.
        driver_info=DriverInfo(name=None, lib_version=None),
        redis_connect_func=greet,  # type: ignore[arg-type]  # its stub lacks the argument
    )
