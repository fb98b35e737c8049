"""Redis: a master, its standbys, and read-only replicas."""

from __future__ import annotations

from typing import Final

import redis

from ami import render
from lab import mounts
from lab.files import make_directory, socket_path, write_secret
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Machine, Redis
from lab.waiting import until

USER: Final = "redis"

JOURNAL_DISK_MIB: Final = 256
"""The disk of the master's journal in a lab that is prepared for faults: small, so that it is soon full."""

_OWN_MACHINE_SHARE: Final = 0.75
_SHARED_MACHINE_SHARE: Final = 0.5
_LEAST_MEMORY_MIB: Final = 1024
_CONNECT_TIMEOUT_S: Final = 2.0


def start(site: Site, machine: Machine, spec: Redis) -> Process:
    """Starts the machine's Redis without waiting for it."""
    home = make_directory(site.disk(machine) / "redis", user=USER)
    memory_mib = machine.capacity.memory_mib if machine.capacity else _LEAST_MEMORY_MIB
    share = _OWN_MACHINE_SHARE if machine.role == "redis" else _SHARED_MACHINE_SHARE
    data = make_directory(home / "data", user=USER, mode=0o750)
    if site.breakable and spec.replica_of is None:
        mounts.mount_small(data, JOURNAL_DISK_MIB, user=USER)
    config = render.Redis(
        bind=("127.0.0.1", machine.address),
        announce=machine.address,
        socket=socket_path(home / "redis.sock"),
        directory=data,
        password=password(site, machine),
        max_memory_mib=int(memory_mib * share),
        replica_of=site.address(spec.replica_of) if spec.replica_of else None,
        standby=spec.standby,
        append_sync=spec.append_sync,
        sync_delay_s=0,
    )
    path = write_secret(home / "redis.conf", config.render(), user=USER)
    return site.start(machine, "redis", ["redis-server", path], user=USER)


def password(site: Site, machine: Machine) -> str | render.RedisAccounts:
    """What the machine's Redis lets its clients in with."""
    secrets = site.credentials
    if not site.topology.sentinels:
        return secrets.redis_password()
    return render.RedisAccounts(
        app=secrets.redis_account("app"),
        replica=secrets.redis_account("replica"),
        sentinel=secrets.redis_account("sentinel") if machine.sentinel else None,
    )


def wait_until_serving(site: Site, process: Process) -> None:
    """Returns when the server answers.

    Raises:
        NotReadyError: when it does not in time.
    """
    with connect(site, process.machine) as client:

        def answers() -> bool | None:
            try:
                return bool(client.ping()) or None
            except redis.RedisError as error:
                raise ConnectionError(str(error)) from error

        until(process.title, answers, timeout_s=START_TIMEOUT_S, process=process.popen, log=process.log)


def wait_until_replicating(site: Site, process: Process) -> None:
    """Returns when the replica has its master's data and follows it.

    Raises:
        NotReadyError: when it does not in time.
    """
    with connect(site, process.machine) as client:

        def follows() -> bool | None:
            try:
                link = client.info("replication")
            except redis.RedisError as error:
                raise ConnectionError(str(error)) from error
            up = link["master_link_status"] == "up" and not link["master_sync_in_progress"]
            return True if up else None

        until(
            f"the replication of {process.title}",
            follows,
            timeout_s=START_TIMEOUT_S,
            process=process.popen,
            log=process.log,
        )


def connect(site: Site, machine: Machine) -> redis.Redis:
    """A connection to the machine's Redis through its unix socket, from any namespace."""
    given = password(site, machine)
    return redis.Redis(
        unix_socket_path=str(site.disk(machine) / "redis" / "redis.sock"),
        username="app" if site.topology.sentinels else None,
        password=given.app if isinstance(given, render.RedisAccounts) else given,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=START_TIMEOUT_S,
        decode_responses=True,
    )
