"""Which Redis is the master now, and whether all others follow whom they should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import redis

from lab.errors import LabError
from lab.roles import redis_server, sentinel
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Machine
from lab.waiting import until

_MASTER: Final = "master"


def redis_master(site: Site) -> Machine:
    """The machine whose Redis takes the writes now: the first master, or the one that most Sentinels name.

    Raises:
        LabError: when most of them name none.
    """
    sentinels = site.topology.sentinels
    if not sentinels:
        return site.topology.redis_master
    named: Counter[str] = Counter()
    for machine in sentinels:
        try:
            address, _ = sentinel.ask(site, machine, "GET-MASTER-ADDR-BY-NAME", sentinel.SERVICE)
        except (redis.RedisError, OSError):
            continue
        named[address] += 1
    for machine in sentinels:
        if named[machine.address] * 2 > len(sentinels):
            return machine
    raise LabError(f"most Sentinels name no Redis master: {dict(named) or 'none of them answers'}")


def wait_until_following(site: Site, redises: Sequence[Process]) -> None:
    """Returns when every replica follows whom it should and has its data.

    Where there are standbys, one of the machines at home is the master, the others follow it, and the
    replicas elsewhere follow one of these.

    Raises:
        NotReadyError: when some do not in time.
    """
    if not site.topology.sentinels:
        for process in redises:
            if process.machine.redis and process.machine.redis.replica_of:
                redis_server.wait_until_replicating(site, process)
        return

    def follow() -> bool | None:
        try:
            master = redis_master(site)
        except LabError as error:
            raise ConnectionError(str(error)) from error
        home = {machine.name: machine.address for machine in site.topology.sentinels}
        links = {process.machine.name: _link(site, process.machine) for process in redises}
        if problem := astray(master.name, home, links):
            raise ConnectionError(problem)
        return True

    until("the replication of Redis", follow, timeout_s=START_TIMEOUT_S)


def astray(master: str, home: Mapping[str, str], links: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Which server does not have the place that it should have, in words; None when all have.

    Args:
        master: the machine that should be the master.
        home: the addresses of the machines that could be, by name.
        links: what INFO says of the replication of each machine's server.
    """
    for name, link in links.items():
        if name == master:
            if link["role"] != _MASTER:
                return f"{name} is a replica, and the Sentinels call it the master"
            continue
        follows = {home[master]} if name in home else {home[other] for other in home if other != master}
        if link["role"] == _MASTER:
            return f"{name} is a master beside {master}"
        if link["master_host"] not in follows:
            return f"{name} follows {link['master_host']}, not {' or '.join(sorted(follows))}"
        if link["master_link_status"] != "up" or link["master_sync_in_progress"]:
            return f"{name} has lost {link['master_host']}"
    return None


def _link(site: Site, machine: Machine) -> Mapping[str, Any]:
    """What INFO says of a server's replication.

    Raises:
        ConnectionError: when it does not answer.
    """
    with redis_server.connect(site, machine) as client:
        try:
            link: Mapping[str, Any] = client.info("replication")
        except redis.RedisError as error:
            raise ConnectionError(f"{machine.name}: {error}") from error
    return link
