"""Keeps a region's replica hung to a standby at home, never to the master while a standby lives.

The master's own replicas are the standbys: WAIT is for them, and its network carries each write twice, not
once per node. After a failover the promoted standby's replicas have to go to one that is left.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import redis
from msgspec import Struct

from market.redis_server import Server, connect, server
from market.sentinels import find_master
from market.settings import RedisEndpoint, Settings, SettingsError
from market.store import UnavailableError

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 2.0
TIMEOUT_S: Final = 1.0
DESERTED_LOOKS: Final = 5
"""Looks in a row at which no standby answered, after which the replica goes to the master itself."""


class Role(Struct, frozen=True):
    """What a replica says of itself: whom it follows, and whether it has its data and hears from it."""

    follows: Server | None
    """None of a master."""
    connected: bool


class Follower:
    """Looks again and again until `stop` is set.

    Raises:
        SettingsError: when the settings name no Sentinels or no standbys.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        if not settings.redis_master.sentinels or not settings.standbys:
            raise SettingsError("a replica is hung up where Sentinels watch: name `sentinels` and `standbys`")
        self._settings = settings
        self._stop = stop
        self._deserted = 0

    def run(self) -> None:
        """Work until told to stop."""
        while not self._stop.is_set():
            try:
                self.look()
            except (redis.RedisError, UnavailableError, OSError) as error:
                _log.warning("the replica stays where it is: %s", error)
            self._stop.wait(INTERVAL_S)

    def look(self) -> None:
        """Look once, and hang the replica up where it belongs.

        Raises:
            UnavailableError: when the Sentinels name no master.
            redis.RedisError: when the replica itself does not answer.
        """
        settings = self._settings
        master = find_master(settings.redis_master)
        homes = [server(address) for address in settings.standbys]
        with ThreadPoolExecutor(len(homes), "standbys") as pool:
            answers = pool.map(lambda where: _role(where, settings.redis_master), homes)
            roles = {where: role for where, role in zip(homes, answers, strict=True) if role is not None}
        self._deserted = 0 if roles.keys() - {master} else self._deserted + 1
        read = settings.redis_read
        with closing(_client((read.host, read.port), read)) as replica:
            current = read_role(replica.execute_command("ROLE")).follows  # type: ignore[no-untyped-call]
            chosen = choose(master, roles, current, settings.node, self._deserted >= DESERTED_LOOKS)
            if chosen != current and chosen is not None:
                _log.warning("the replica goes from %s to %s", current, chosen)
                replica.execute_command("REPLICAOF", *chosen)  # type: ignore[no-untyped-call]


def choose(
    master: Server, roles: Mapping[Server, Role], current: Server | None, node: str, deserted: bool
) -> Server | None:
    """Whom a replica should follow; None when it is best left alone.

    Args:
        master: whom the Sentinels call so.
        roles: what the servers at home that answer say.
        current: whom it follows.
        node: its machine, by which the replicas spread over the standbys.
        deserted: whether no standby has answered for long.
    """
    in_sync = sorted(
        where
        for where, role in roles.items()
        if where != master and role.connected and role.follows == master
    )
    if current in in_sync:
        return current
    if in_sync:
        return in_sync[zlib.crc32(node.encode()) % len(in_sync)]
    return master if deserted else None


def read_role(reply: Any) -> Role:
    """The answer to ROLE."""
    if reply[0] != b"slave":
        return Role(None, connected=False)
    return Role((reply[1].decode(), int(reply[2])), reply[3] == b"connected")


def _role(where: Server, account: RedisEndpoint) -> Role | None:
    try:
        with closing(_client(where, account)) as client:
            return read_role(client.execute_command("ROLE"))  # type: ignore[no-untyped-call]
    except (redis.RedisError, OSError):
        return None


def _client(where: Server, account: RedisEndpoint) -> redis.Redis:
    return connect(where, account, timeout_s=TIMEOUT_S, connect_timeout_s=TIMEOUT_S)
