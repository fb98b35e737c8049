"""Which processes of the machine do its role's work, from how they were started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

import psutil

MARKET_COMMANDS: Final = frozenset(("api", "ledger", "resolver", "feed", "migrate"))
MOST_PROCESSES: Final = 256
"""More processes of the role than this are not measured."""


@dataclass(frozen=True)
class Identity:
    """What a process is.

    Args:
        service: what it belongs to, as the document names it.
        process: which of the service's processes it is, the same after a restart.
        listens_at: the path of the unix socket on which an API process waits for nginx.
    """

    service: str
    process: str
    listens_at: str | None = None


@dataclass(frozen=True)
class RoleProcess:
    """A running process of the machine's role."""

    pid: int
    identity: Identity


List = Callable[[], Iterable[RoleProcess]]
"""Lists the processes of the machine's role."""

_BY_PROGRAM: Final = {
    "mariadbd": "mariadb",
    "mysqld": "mariadb",
    "prometheus": "prometheus",
    "grafana": "grafana",
    "grafana-server": "grafana",
}


def identify(program: str, argv: Sequence[str]) -> Identity | None:
    """What a process is, None when it has no part in the role.

    Args:
        program: the name that the kernel has for it.
        argv: its command line, which some programs write over.
    """
    title = " ".join(argv)
    if program == "nginx":
        return Identity("nginx", "nginx-worker" if title.startswith("nginx: worker") else "nginx-master")
    if program in ("redis-server", "redis-sentinel"):
        sentinel = program == "redis-sentinel" or "sentinel]" in title or "--sentinel" in argv
        return Identity(*("sentinel" if sentinel else "redis",) * 2)
    if program in _BY_PROGRAM:
        return Identity(*(_BY_PROGRAM[program],) * 2)
    return _ours(argv)


def _ours(argv: Sequence[str]) -> Identity | None:
    for index, word in enumerate(argv[:-1]):
        following = argv[index + 1]
        if word == "-m" and following == "ami.node.reporter":
            return Identity("reporter", "reporter")
        if list(argv[index - 1 : index + 1]) == ["-m", "ami.node"] and following.isalpha():
            return Identity(following, following)
        if PurePosixPath(word).name in ("market", "market.cli") and following in MARKET_COMMANDS:
            return _market(following, argv[index + 2 :])
    return None


def _market(command: str, options: Sequence[str]) -> Identity:
    where = next((b for a, b in pairwise(options) if a == "--listen"), None)
    if where is None or "/" not in where:
        return Identity(command, command)
    return Identity(command, PurePosixPath(where).stem, where)


def list_processes() -> Iterator[RoleProcess]:
    """The processes of the machine's role that run now, at most `MOST_PROCESSES`."""
    count = 0
    for process in psutil.process_iter():
        try:
            identity = identify(process.name(), process.cmdline())
        except psutil.Error:
            continue
        if identity is not None:
            count += 1
            if count > MOST_PROCESSES:
                return
            yield RoleProcess(process.pid, identity)
