"""Whether the machine can do what it is for: asked as its users would ask."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Final

from ami.node.document import Document
from ami.node.paths import SECRETS
from ami.node.plan import UNIT_OF
from ami.node.system import Disk, Run

Probe = Callable[[], str | None]
"""What is wrong at present, None when nothing is."""

TIMEOUT_S: Final = 5.0
HERE: Final = "127.0.0.1"
HTTPS_PORT: Final = 443
HEALTH_PATH: Final = "/healthz"
PROMETHEUS_PORT: Final = 9090
READY_PATH: Final = "/-/ready"


def probes(document: Document, disk: Disk, run: Run) -> Iterator[Probe]:
    """What has to be right on a machine of this document."""
    if document.runs("nginx"):
        yield partial(serves, document.names.regional)
    if document.runs("redis") and document.redis and document.role == "redis":
        user = "app" if document.redis.sentinels else None
        yield partial(answers, document.redis.read.port, disk.at(SECRETS / "redis-password"), user)
    if document.role != "node":
        for service in ("sentinel", "ledger", "resolver", "feed"):
            if document.runs(service):
                yield partial(lives, UNIT_OF[service], run)
    if document.runs("prometheus"):
        yield ready


@cache
def _anybody() -> ssl.SSLContext:
    """Made once, without the authorities that the system trusts: to read those is most of a look's work."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def serves(name: str, port: int = HTTPS_PORT) -> str | None:
    """What the health check of the machine's own address says, through nginx and TLS.

    Nobody's signature is asked for: the name and the key are this machine's own, as is the network.
    """
    connection = http.client.HTTPConnection(name, timeout=TIMEOUT_S)
    try:
        raw = socket.create_connection((HERE, port), TIMEOUT_S)
        connection.sock = raw
        connection.sock = _anybody().wrap_socket(raw, server_hostname=name)
        connection.request("GET", HEALTH_PATH)
        response = connection.getresponse()
        text = response.read(512).decode("utf-8", errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{HEALTH_PATH}: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return None if response.status == http.HTTPStatus.OK else f"{HEALTH_PATH}: {response.status} {text}"


def answers(port: int, password_file: Path, user: str | None = None) -> str | None:
    """What a PING of the machine's own Redis says."""
    # Only a Redis machine asks this: the others do without the client's memory.
    import redis  # noqa: PLC0415

    try:
        password = password_file.read_text(encoding="utf-8").strip()
        with redis.Redis(
            host=HERE,
            port=port,
            username=user,
            password=password,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        ) as client:
            client.ping()
    except (OSError, redis.RedisError) as error:
        return f"redis: {error}"
    return None


def ready(port: int = PROMETHEUS_PORT) -> str | None:
    """What Prometheus says of itself, which has to read what it kept before it answers."""
    connection = http.client.HTTPConnection(HERE, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", READY_PATH)
        response = connection.getresponse()
        text = response.read(512).decode("utf-8", errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"prometheus: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return None if response.status == http.HTTPStatus.OK else f"prometheus: {response.status} {text}"


def lives(unit: str, run: Run) -> str | None:
    """Whether a unit runs."""
    done = run(["systemctl", "is-active", unit], TIMEOUT_S)
    return None if done.status == 0 else f"{unit} is {done.output or 'not active'}"
