"""Whether the standbys at home have what the master was told; replicas elsewhere never count.

Any standby may be promoted, also while the old master and another standby still see each other (a master
that was only stopped for a while goes on where it stood). So what is acknowledged has to be at every
standby, but for those that most Sentinels call down: such a one is not promoted.

WAIT counts every replica of the master. So each WAIT stands between two ROLE: the first says up to where a
standby has to be (its offset covers all that the connection wrote before), the second says who is there.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, Final

import redis
from msgspec import Struct

from market.redis_server import Server, server
from market.sentinels import find_down
from market.settings import Settings
from market.store import UnavailableError

LIMIT_S: Final = 6.0
"""How long a write may wait for the standbys before its outcome is called unknown: longer than the Sentinels
take to call one down (`ami.render.Sentinel`)."""
WAIT_MS: Final = 10
"""How long the first WAIT after a write may hold up the connection; in a region replication takes 1 to 2."""
WAIT_AGAIN_MS: Final = 100
"""The same for a further one, of which there is one at a time."""
EXCUSE_S: Final = 3.0
"""How long the word of the Sentinels that a standby is down holds."""


class NotAcknowledgedError(UnavailableError):
    """The standbys have not acknowledged; what was written may be lost with the master."""


class Replicas(Struct, frozen=True):
    """What a master says of itself: its offset, and up to where each of its replicas has acknowledged."""

    offset: int
    acknowledged: dict[Server, int]


class Standbys:
    """The standbys of one master, as the answers to ROLE show them.

    Args:
        addresses: all servers at home (HOST:PORT).
        master: which of them is the master.
    """

    def __init__(self, addresses: Collection[str], master: Server) -> None:
        self.master = master
        self._home = frozenset(server(address) for address in addresses) - {master}
        self._excused: frozenset[Server] = frozenset()
        self._excused_until_s = 0.0
        self.expected = len(self._home)
        """How many replicas the next WAIT is for."""
        self.acknowledged = -1
        """Up to where all have acknowledged that have to."""

    @property
    def deserted(self) -> bool:
        """Whether all of them are down: nothing can be acknowledged."""
        return self._excused == self._home

    @property
    def excused(self) -> frozenset[Server]:
        """Those that are not waited for."""
        return self._excused

    def excuse(self, down: Collection[Server], now_s: float) -> None:
        """Do not wait for those that are down, for `EXCUSE_S` from `now_s`."""
        self._excused = self._home.intersection(down)
        self._excused_until_s = now_s + EXCUSE_S

    def see(self, replicas: Replicas, asked_for: int, now_s: float) -> None:
        """Take what a ROLE after a WAIT says; `asked_for` is the offset of the ROLE before it."""
        there = replicas.acknowledged
        if now_s >= self._excused_until_s:
            self._excused = frozenset()
        self._excused -= {where for where in self._excused if there.get(where, -1) >= asked_for}
        needed = self._home - self._excused
        self.acknowledged = min((there.get(where, -1) for where in needed), default=-1)
        counted = sum(there[where] >= asked_for for where in there.keys() - needed)
        late = self.acknowledged < asked_for
        self.expected = max(1, len(needed)) + (counted if late else 0)


def read_role(reply: Any) -> Replicas:
    """What a master answered to ROLE.

    Raises:
        UnavailableError: when it is none.
    """
    if reply[0] != b"master":
        raise UnavailableError("the server is no master any more")
    return Replicas(
        int(reply[1]), {(host.decode(), int(port)): int(offset) for host, port, offset in reply[2]}
    )


def await_standbys(client: redis.Redis, settings: Settings, limit_s: float = LIMIT_S) -> None:
    """Returns when the standbys have all that the client's server has now, if the settings ask for it.

    Raises:
        NotAcknowledgedError: when they do not in time.
        UnavailableError: when the server is no master.
        redis.RedisError: when the server does not answer.
    """
    if settings.acknowledge != "standby":
        return

    def role() -> Replicas:
        return read_role(client.execute_command("ROLE"))  # type: ignore[no-untyped-call]

    connected = client.connection_pool.connection_kwargs
    standbys = Standbys(settings.standbys, (connected["host"], connected["port"]))
    offset = role().offset
    deadline_s = time.monotonic() + limit_s
    while True:
        client.execute_command("WAIT", standbys.expected, WAIT_AGAIN_MS)  # type: ignore[no-untyped-call]
        standbys.see(role(), offset, time.monotonic())
        if standbys.acknowledged >= offset:
            return
        if time.monotonic() >= deadline_s:
            raise NotAcknowledgedError(f"the standbys have not acknowledged for {limit_s:g} s")
        standbys.excuse(find_down(settings.redis_master, standbys.master), time.monotonic())
