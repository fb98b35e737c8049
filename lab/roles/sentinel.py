"""Sentinel: one beside each Redis at home; most of them together promote a standby."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

import redis

from ami import render
from lab.errors import LabError
from lab.files import make_directory, write_secret
from lab.namespaces import entered
from lab.roles import redis_server
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Machine, Sentinel
from lab.waiting import until

USER: Final = "redis"
PORT: Final = 26379
SERVICE: Final = "market"

_TIMEOUT_S: Final = 5.0


def start(site: Site, machine: Machine, spec: Sentinel) -> Process:
    """Starts the machine's Sentinel without waiting for it."""
    home = make_directory(site.disk(machine) / "sentinel", user=USER)
    accounts = redis_server.password(site, machine)
    if isinstance(accounts, str):
        raise LabError(f"{machine.name} has a Sentinel and no account for it")
    config = render.Sentinel(
        bind=("127.0.0.1", machine.address),
        announce=machine.address,
        directory=home,
        accounts=accounts,
        master=site.address(spec.master),
    )
    path = write_secret(home / "sentinel.conf", config.render(), user=USER)
    return site.start(machine, "sentinel", ["redis-server", path, "--sentinel"], user=USER)


def wait_until_watching(site: Site, process: Process) -> None:
    """Returns when the Sentinel knows the others and the standbys, so that it can replace the master.

    Raises:
        NotReadyError: when it does not in time.
    """
    others = len(site.topology.sentinels) - 1

    def watches() -> bool | None:
        try:
            state = ask(site, process.machine, "MASTER", SERVICE)
        except redis.RedisError as error:
            raise ConnectionError(str(error)) from error
        seen = dict(zip(state[::2], state[1::2], strict=True))
        # After a failover it has also seen the replicas that hung from the standby before.
        knows_all = int(seen["num-other-sentinels"]) == others and int(seen["num-slaves"]) >= others
        return knows_all or None

    until(process.title, watches, timeout_s=START_TIMEOUT_S, process=process.popen, log=process.log)


def ask(site: Site, machine: Machine, *command: str) -> Any:
    """The answer of the machine's Sentinel to a SENTINEL command.

    Raises:
        redis.RedisError: when it cannot be asked, or refuses.
    """
    client = redis.Redis(
        host=machine.address,
        port=PORT,
        username="sentinel",
        protocol=2,
        password=site.credentials.redis_account("sentinel"),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        decode_responses=True,
    )
    with closing(client), entered(site.world.namespace(machine.name)):
        return client.execute_command("SENTINEL", *command)  # type: ignore[no-untyped-call]
