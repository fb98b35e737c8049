"""What a machine's Redis and Sentinel are told, and how its processes reach the master. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from ami import render
from ami.node import paths, sizes
from ami.node.document import Document, Endpoint, RedisPeers
from ami.node.machine import Machine
from ami.node.redis_master import ACCOUNT, PASSWORD
from ami.node.secret_store import SecretValues
from ami.node.system import File

HERE: Final = "127.0.0.1"
REPLICA: Final = "redis-replica"
SENTINEL: Final = "redis-sentinel"

_HIDDEN: Final = 0o640


def redis_files(
    document: Document, peers: RedisPeers, secrets: SecretValues, machine: Machine, master: Endpoint
) -> Iterator[File]:
    """The configuration of the machine's Redis, and of its Sentinel if it runs one."""
    accounts = _accounts(document, secrets) if peers.sentinels else None
    home = document.role == "redis"
    follows = _upstream(peers, machine, master, home=home)
    config = render.Redis(
        bind=(HERE, machine.address) if home else (HERE,),
        announce=machine.address,
        socket=paths.REDIS_SOCKET,
        directory=paths.REDIS_DATA,
        password=accounts or secrets[PASSWORD],
        max_memory_mib=sizes.redis_mib(machine.memory_mib, shared=not home),
        replica_of=follows.host if follows else None,
        replica_of_port=follows.port if follows else peers.master.port,
        standby=home and bool(peers.sentinels),
        append_sync=peers.append_sync,
        port=peers.read.port,
    )
    yield File(paths.REDIS, config.render(), _HIDDEN, "redis", "redis")
    if document.runs("sentinel") and accounts is not None:
        sentinel = render.Sentinel(
            bind=(HERE, machine.address),
            announce=machine.address,
            directory=paths.REDIS_DATA,
            accounts=accounts,
            master=master.host,
            master_port=master.port,
            quorum=len(peers.sentinels) // 2 + 1,
            port=peers.sentinels[0].port,
            record=paths.RECORD_MASTER,
        )
        yield File(paths.SENTINEL, sentinel.render(), _HIDDEN, "redis", "redis")


def redis_endpoint(peers: RedisPeers, server: Endpoint) -> render.RedisEndpoint:
    """How a process of the service reaches a server: the master through the Sentinels, if there are some."""
    sentinels = [f"{s.host}:{s.port}" for s in peers.sentinels] if server == peers.master else []
    return render.RedisEndpoint(
        host=server.host,
        port=server.port,
        password_file=paths.SECRETS / PASSWORD,
        user=ACCOUNT if peers.sentinels else "default",
        sentinels=sentinels,
    )


def following_endpoint(peers: RedisPeers) -> render.RedisEndpoint:
    """How the machine's replica is hung up again."""
    return render.RedisEndpoint(
        host=peers.read.host, port=peers.read.port, password_file=paths.SECRETS / REPLICA, user="follow"
    )


def redis_machines(peers: RedisPeers) -> list[str]:
    """The servers at home that may be the master, as HOST:PORT; none without Sentinels."""
    return [f"{sentinel.host}:{peers.master.port}" for sentinel in peers.sentinels]


def _accounts(document: Document, secrets: SecretValues) -> render.RedisAccounts:
    return render.RedisAccounts(
        app=secrets[PASSWORD],
        replica=secrets[REPLICA],
        sentinel=secrets[SENTINEL] if document.role == "redis" else None,
    )


def _upstream(peers: RedisPeers, machine: Machine, master: Endpoint, *, home: bool) -> Endpoint | None:
    """Whom the machine's Redis follows at first; elsewhere it is hung up anew as soon as it runs."""
    if not peers.sentinels:
        return peers.master if peers.runs == "replica" else None
    if home:
        return None if master.host == machine.address else master
    standbys = [s for s in peers.sentinels if s.host != peers.master.host]
    chosen = standbys[zlib.crc32(machine.instance_id.encode()) % len(standbys)]
    return Endpoint(chosen.host, peers.master.port)
