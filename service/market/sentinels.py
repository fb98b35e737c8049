"""Which Redis is the master: asked of the Sentinels, all of them at once.

One Sentinel may stand on the wrong side of a partition and still name the master of before. So the answer is
the one that most of them give, and whoever connects there sees for itself that it is a master.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import Any, Final, TypeVar

import redis

from market.redis_server import Server, connect, server
from market.settings import RedisEndpoint
from market.store import UnavailableError

T = TypeVar("T")

TIMEOUT_S: Final = 1.0
"""How long a Sentinel may take to be reached, and again to answer."""


def find_master(endpoint: RedisEndpoint) -> Server:
    """Where the master is: as the Sentinels say, or the endpoint's own host when it names none.

    Waits up to twice `TIMEOUT_S` for those that do not answer, unless more than half name the same.

    Raises:
        UnavailableError: when no Sentinel knows.
    """
    if not endpoint.sentinels:
        return endpoint.host, endpoint.port
    answers = _ask_all(endpoint, _master)
    found = elect(answer for answer in answers.values() if not isinstance(answer, Exception))
    if found is None:
        reasons = "; ".join(f"{address}: {answer or 'knows none'}" for address, answer in answers.items())
        raise UnavailableError(f"no sentinel names the master of {endpoint.service}: {reasons}")
    return found


def find_down(endpoint: RedisEndpoint, master: Server) -> frozenset[Server]:
    """The servers of which most Sentinels say that they follow `master` and are down.

    Those of which it is said are not promoted: a Sentinel needs the votes of most of them. That they have no
    connection to it says nothing: a server that is being promoted ends all that it has.

    Raises:
        UnavailableError: when another server is the master now.
    """

    def view(client: redis.Redis, service: str) -> tuple[Server | None, frozenset[Server]]:
        return _master(client, service), _down(client, service)

    views = [view for view in _ask_all(endpoint, view).values() if not isinstance(view, Exception)]
    if elect(named for named, _ in views) not in (master, None):
        raise UnavailableError("the sentinels name another master")
    votes = Counter(where for named, down in views if named == master for where in down)
    return frozenset(where for where, count in votes.items() if count * 2 > len(endpoint.sentinels))


def elect(answers: Iterable[Server | None]) -> Server | None:
    """The server that most of the answers name, the first named of several; None when none names one."""
    counted = Counter(answer for answer in answers if answer is not None)
    return max(counted, key=lambda answer: counted[answer], default=None)


def _ask_all(endpoint: RedisEndpoint, question: Callable[[redis.Redis, str], T]) -> dict[str, T | Exception]:
    """What each of the Sentinels answers, or why it does not, by address.

    Once more than half have given the same answer the others are not waited for: they cannot change it.
    """

    def ask(address: str) -> T | Exception:
        client = connect(server(address), endpoint, timeout_s=TIMEOUT_S, connect_timeout_s=TIMEOUT_S)
        try:
            with closing(client):
                return question(client, endpoint.service)
        except (redis.RedisError, OSError) as error:
            return error

    answers: dict[str, T | Exception] = {}
    pool = ThreadPoolExecutor(len(endpoint.sentinels), "sentinels")
    try:
        asked = {pool.submit(ask, address): address for address in endpoint.sentinels}
        for answered in as_completed(asked):
            answer = answers[asked[answered]] = answered.result()
            same = sum(answer == other for other in answers.values())
            if answer is not None and same * 2 > len(endpoint.sentinels):
                break
    finally:
        pool.shutdown(wait=False)
    return answers


def _master(client: redis.Redis, service: str) -> Server | None:
    reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)  # type: ignore[no-untyped-call]
    return None if reply is None else (reply[0].decode(), int(reply[1]))


def _down(client: redis.Redis, service: str) -> frozenset[Server]:
    reply: Any = client.execute_command("SENTINEL", "REPLICAS", service)  # type: ignore[no-untyped-call]
    replicas = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in reply]
    return frozenset(
        (replica[b"ip"].decode(), int(replica[b"port"]))
        for replica in replicas
        if b"s_down" in replica[b"flags"].split(b",")
    )
