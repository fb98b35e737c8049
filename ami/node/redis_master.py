"""Where the Redis master is when a machine at home boots: another one may have been promoted meanwhile.

A machine that took itself for the master because it was one would have the others follow it and lose what
they have. So it asks the other machines' Sentinels; when none answers, since all boot at once, it goes by
what the last failover left on its own volume, and only a new stack's goes by its document.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ami.node.document import Document, Endpoint
from ami.node.paths import REDIS_MASTER
from ami.node.secret_store import SecretValues
from ami.node.system import Disk

ACCOUNT: Final = "app"
PASSWORD: Final = "redis-password"  # noqa: S105 - the name of one
SERVICE: Final = "market"
TIMEOUT_S: Final = 2.0


def find(document: Document, secrets: SecretValues, disk: Disk) -> Endpoint | None:
    """Where the master is; None when the machine has no Redis that may be one."""
    peers = document.redis
    if peers is None or not document.runs("redis"):
        return None
    if not peers.sentinels or document.role != "redis":
        return peers.master
    answers = [_ask(sentinel, secrets[PASSWORD]) for sentinel in peers.sentinels]
    counted = Counter(answer for answer in answers if answer is not None)
    if counted:
        return max(counted, key=lambda answer: counted[answer])
    return _recorded(disk) or peers.master


def _ask(sentinel: Endpoint, password: str) -> Endpoint | None:
    client = redis.Redis(
        host=sentinel.host,
        port=sentinel.port,
        username=ACCOUNT,
        password=password,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=True,
    )
    try:
        with closing(client):
            reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)  # type: ignore[no-untyped-call]
    except (redis.RedisError, OSError):
        return None
    return None if reply is None else Endpoint(reply[0], int(reply[1]))


def _recorded(disk: Disk) -> Endpoint | None:
    try:
        host, port = disk.at(REDIS_MASTER).read_text(encoding="ascii").split()
        return Endpoint(host, int(port))
    except (OSError, ValueError):
        return None
