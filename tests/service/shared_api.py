"""A process of the service that many tests share, which needs no SQL server."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from market.settings import RedisEndpoint, Settings, SqlEndpoint
from tests.service.conftest import Command, RedisServer, Server, end, toml, until


def settings_without_sql(
    master: RedisServer, password_file: Path, token_key_file: Path, **changes: Any
) -> Settings:
    """A process of the async path never asks SQL for what is live, so that its tests need none."""
    redis = RedisEndpoint("127.0.0.1", master.port, str(password_file))
    sql = SqlEndpoint("127.0.0.1", 1, "market", str(password_file))
    return Settings(
        region="eu-west-1",
        node="node-1",
        token_key_file=str(token_key_file),
        redis_master=redis,
        redis_read=redis,
        sql_master=sql,
        sql_read=sql,
        **changes,
    )


@contextlib.contextmanager
def running_api(
    settings: Settings,
    directory: Path,
    listen: str | None = None,
    command: str = "api",
    path: Path | None = None,
) -> Iterator[Server]:
    """A process that listens, the API or another by its command, once it can serve.

    It listens at a socket of its own, unless `path` names another or `listen` an address and port.
    """
    with tempfile.TemporaryDirectory(dir=directory) as own:
        file, path = Path(own) / "settings.toml", path or Path(own) / "api.sock"
        file.write_text(toml(settings), encoding="utf-8")
        argv = [sys.executable, "-m", "market.cli", command, "--settings", str(file)]
        argv += ["--listen", listen or str(path)]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
            server = Server(Command(process), path, listen)
            try:
                until(server.healthy, f"the {command}: {server.command.log()}")
                yield server
            finally:
                end(process)
                server.command.reader.join()


def ask_http(
    path: Path, token: str, address: str | None = None, *, request_id: str | None = None
) -> http.client.HTTPResponse:
    """The answer to a request for the games over plain HTTP."""
    headers = {"Authorization": f"Bearer {token}"} | ({"X-Real-IP": address} if address else {})
    headers |= {"X-Request-Id": request_id} if request_id else {}
    connection = http.client.HTTPConnection("market", timeout=10)
    with contextlib.closing(connection):
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(10)
        connection.sock.connect(str(path))
        connection.request("GET", "/v2/games", headers=headers)
        response = connection.getresponse()
        response.read()
        return response
