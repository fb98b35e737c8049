"""Connections to Redis for what may wait for its replies."""

from __future__ import annotations

from typing import Any, Final

import redis

from market import epoch_guard
from market.redis_server import connect
from market.sentinels import find_master
from market.settings import RedisEndpoint

TIMEOUT_S: Final = 11.0
"""Longer than any command of the service blocks."""
CONNECT_TIMEOUT_S: Final = 5.0


class NotMasterError(redis.ConnectionError):
    """The server that should be the master is none; ask again."""


def redis_client(
    endpoint: RedisEndpoint, *, writes: bool = False, timeout_s: float = TIMEOUT_S
) -> redis.Redis:
    """A client of the server that the endpoint names now; the caller closes it.

    Each of its connections sees that the server is a master when Sentinels name it or the client `writes`,
    and then guards the epoch before anything is written.

    Raises:
        UnavailableError: when the Sentinels do not name a master.
    """
    where = find_master(endpoint)

    def greet(connection: Any) -> None:
        connection.on_connect()
        if writes or endpoint.sentinels:
            connection.send_command("ROLE")
            if connection.read_response()[0] != b"master":
                raise NotMasterError(f"{where[0]}:{where[1]} is no master")
        if writes:
            connection.send_command(*epoch_guard.COMMAND)
            epoch_guard.read(connection.read_response())

    return connect(
        where,
        endpoint,
        timeout_s=timeout_s,
        connect_timeout_s=min(timeout_s, CONNECT_TIMEOUT_S),
        greet=greet,
    )


def check_master(client: redis.Redis, endpoint: RedisEndpoint) -> None:
    """See that a client of a master that Sentinels name is still one.

    Raises:
        NotMasterError: when they name another.
        UnavailableError: when none of them names one.
    """
    if endpoint.sentinels:
        connected = client.connection_pool.connection_kwargs
        if find_master(endpoint) != (connected["host"], connected["port"]):
            raise NotMasterError("the sentinels name another master")
