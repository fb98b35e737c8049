"""Where an API process listens: a Unix socket behind nginx, or a TCP port."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from market.settings import SettingsError

KEEPALIVE_IDLE_S: Final = 60
KEEPALIVE_INTERVAL_S: Final = 10
KEEPALIVE_PROBES: Final = 6
"""A client whose machine is gone is found by the kernel after 2 minutes, whether something was sent or not.

Behind nginx it is nginx's connection to the client that has these settings.
"""

BACKLOG: Final = 4096
"""Connections that wait to be accepted; the kernel caps it at net.core.somaxconn."""


@contextlib.contextmanager
def listening(where: str) -> Iterator[socket.socket]:
    """A listening socket at a path or `HOST:PORT`; a path is removed again at the end.

    A Unix socket takes the place of a stale one in one step, and everybody may connect to it: nginx's workers
    run under another account, and the folder is what restricts the access.

    Raises:
        SettingsError: when nothing can listen there.
    """
    host, colon, port = where.rpartition(":")
    try:
        if colon and "/" not in where:
            if not port.isdigit():
                raise SettingsError(f"cannot listen at {where}: give a path or HOST:PORT")
            with socket.create_server((host.strip("[]"), int(port)), backlog=BACKLOG) as tcp:
                _keep_alive(tcp)
                yield tcp
        else:
            with _unix(Path(where)) as unix:
                yield unix
    except OSError as error:
        raise SettingsError(f"cannot listen at {where}: {error.strerror or error}") from error


def _keep_alive(tcp: socket.socket) -> None:
    """Of all connections that are accepted: Linux hands these options down."""
    lost_ms = 1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S),
        (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        (socket.TCP_USER_TIMEOUT, lost_ms),
    ):
        tcp.setsockopt(socket.IPPROTO_TCP, option, value)


@contextlib.contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix:
        unix.bind(str(temporary))
        temporary.chmod(0o666)
        unix.listen(BACKLOG)
        temporary.rename(path)
        inode = path.stat().st_ino
        try:
            yield unix
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()
