"""The views that the API processes of a running lab have of a game's pushes."""

from __future__ import annotations

import http.client
import socket
import subprocess
from pathlib import Path
from typing import Final

from bench.consistency import ConsistencyError, View, read_view
from lab.errors import LabError
from lab.roles.service import MARKET

_TIMEOUT_S: Final = 10.0
_TOKEN_TTL_S: Final = 60


class ViewError(LabError):
    """A process could not be asked for its view."""


def views(directory: Path, game: str) -> list[View]:
    """The view of every API process of a lab.

    Args:
        directory: the lab's state.
        game: whose pushes.

    Raises:
        ViewError: when there are no API processes, or one does not answer.
    """
    sockets = sorted(directory.glob("machines/*/api/*.sock"))
    if not sockets:
        raise ViewError(f"no API process runs in {directory}: bring a lab up with `isochrone lab up geo-ii`")
    token = _token(directory)
    return [_view(path, game, token) for path in sockets]


def _token(directory: Path) -> str:
    settings = next(iter(sorted(directory.glob("machines/*/operator/*.toml"))), None)
    if settings is None:
        raise ViewError(f"{directory} has no operator's settings; take the lab down and bring it up again")
    argv = [
        *MARKET,
        "token",
        "operator",
        "--admin",
        "--ttl-s",
        str(_TOKEN_TTL_S),
        "--settings",
        str(settings),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise ViewError(f"no token was made: {done.stderr.strip()}")
    return done.stdout.strip()


def _view(path: Path, game: str, token: str) -> View:
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_TIMEOUT_S)
        connection.sock.connect(str(path))
        connection.request("GET", f"/v2/games/{game}/view", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return read_view(response.read())
    except (OSError, http.client.HTTPException, ConsistencyError) as error:
        raise ViewError(f"{path}: {error}") from error
    finally:
        connection.close()
