"""The API processes: their connections, their share of the descriptors, and what they say of themselves.

Connections are counted in the kernel's list of unix sockets (19 ms for 9,000 of them), since each
connection of nginx to an API process is one user: nginx keeps none open in between. A probe of /healthz
counts for the moment that it takes. What a process knows alone, how late its broadcasts are, it has to say
itself, at /metrics of its socket: while it has no such page these figures are absent.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, cast

from prometheus_client.parser import text_string_to_metric_families

from ami.node.reporter import procfs
from ami.node.reporter.collectors.processes import descriptor_limit
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Kind, Metric
from ami.node.reporter.role_processes import List, RoleProcess, list_processes

CONNECTIONS: Final = Metric("isochrone_connections", "gauge", "open WebSocket connections of the machine")
PROCESS_CONNECTIONS: Final = Metric(
    "isochrone_process_connections", "gauge", "open connections of an API process", ("process",)
)
PROCESS_WAITING: Final = Metric(
    "isochrone_process_connections_waiting",
    "gauge",
    "connections in the accept queue of an API process",
    ("process",),
)
DESCRIPTORS_PERCENT: Final = Metric(
    "isochrone_connections_descriptors_percent",
    "gauge",
    "descriptors taken by connections, of those that a service's fullest process may have",
    ("service",),
)

BROADCAST_LATE: Final = "market_broadcast_late_ms"
"""The histogram in which an API process has to count its broadcasts by their lateness (ms).

Of each broadcast: from its publish time until the process has sent it.
"""

PASSED_ON: Final = "market_"
"""What the metrics begin with that are passed on, with the API process's name as the label `process`."""

NGINX_DESCRIPTORS: Final = 2
"""Of one user: to the user and to the API process."""

MOST_BYTES: Final = 1 << 20
MOST_SAMPLES: Final = 5_000
_REPLY_S: Final = 1.0
_ALL_REPLIES_S: Final = 3.0
_KINDS: Final = frozenset(("gauge", "counter", "histogram"))


@dataclass(frozen=True)
class Api:
    """Connections of the API processes, their share of the descriptors, and the processes' own figures."""

    processes: List = list_processes
    proc: Path = Path("/proc")
    name: str = "api"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        running = list(self.processes())
        apis = {
            each.identity.listens_at: each
            for each in running
            if each.identity.service == "api" and each.identity.listens_at
        }
        loads = self._loads(list(apis.values()))
        yield Figure(CONNECTIONS, sum(load.accepted for load in loads.values()))
        for process, load in loads.items():
            yield Figure(PROCESS_CONNECTIONS, load.accepted, (process,))
            yield Figure(PROCESS_WAITING, load.waiting, (process,))
        accepted = {process: load.accepted for process, load in loads.items()}
        for service, percent in descriptors_percent(running, accepted, self._limits(running)).items():
            yield Figure(DESCRIPTORS_PERCENT, percent, (service,))
        yield from _own_figures([(each.identity.process, path) for path, each in apis.items() if path])

    def _loads(self, apis: Sequence[RoleProcess]) -> dict[str, procfs.ListenerLoad]:
        listeners = {
            address: api.identity.process
            for api in apis
            for address in bound_addresses(api.identity.listens_at or "", api.pid)
        }
        with (self.proc / "net/unix").open(encoding="utf-8", errors="surrogateescape") as lines:
            return procfs.listener_loads(lines, listeners)

    def _limits(self, running: Sequence[RoleProcess]) -> dict[int, int | None]:
        limits: dict[int, int | None] = {}
        for each in running:
            if each.identity.service in ("api", "nginx"):
                try:
                    limits[each.pid] = descriptor_limit(self.proc, each)
                except OSError:
                    continue
        return limits


def bound_addresses(path: str, pid: int) -> tuple[str, str]:
    """The addresses to which the listener at a path may have been bound.

    An API process binds a name of its own and renames it to the path; the kernel keeps the first name.
    """
    where = PurePosixPath(path)
    return path, str(where.with_name(f".{where.name}.{pid}"))


def descriptors_percent(
    running: Sequence[RoleProcess], accepted: Mapping[str, int], limits: Mapping[int, int | None]
) -> dict[str, float]:
    """The share of descriptors that connections take, by service (%), of its fullest process.

    nginx's workers share the users evenly. A service of which a process has no limit, or is not there, is
    left out.

    Args:
        running: the processes of the role.
        accepted: open connections by API process.
        limits: descriptors that a process may have, by its id.
    """
    shares: dict[str, float] = {}
    apis = [
        (accepted[each.identity.process], limits.get(each.pid))
        for each in running
        if each.identity.process in accepted
    ]
    api_shares = [100 * count / limit for count, limit in apis if limit]
    if api_shares:
        shares["api"] = max(api_shares)
    workers = [limits.get(each.pid) for each in running if each.identity.process == "nginx-worker"]
    bounded = [limit for limit in workers if limit]
    if bounded and len(bounded) == len(workers):
        shares["nginx"] = 100 * NGINX_DESCRIPTORS * sum(accepted.values()) / sum(bounded)
    return shares


def own_figures(text: str, process: str) -> Iterator[Figure]:
    """The figures in what an API process says of itself, in Prometheus's text format.

    Raises:
        MeasuringError: when it is no such text, or has too many figures.
    """
    count = 0
    try:
        for family in text_string_to_metric_families(text):
            if not family.name.startswith(PASSED_ON) or family.type not in _KINDS:
                continue
            kind = cast(Kind, family.type)
            for sample in family.samples:
                suffix = sample.name.removeprefix(family.name)
                name = sample.name if kind == "counter" else family.name
                if suffix == "_created":
                    continue
                names = sorted(sample.labels, key=lambda label: (label == "le", label))
                metric = Metric(name, kind, family.documentation, ("process", *names))
                labels = (process, *(sample.labels[label] for label in names))
                count += 1
                if count > MOST_SAMPLES:
                    raise MeasuringError(f"{process} has more than {MOST_SAMPLES} figures")
                yield Figure(metric, sample.value, labels, suffix if kind == "histogram" else "")
    except ValueError as error:
        raise MeasuringError(f"{process} says what is not in Prometheus's format: {error}") from error


def _own_figures(apis: Sequence[tuple[str, str]]) -> Iterator[Figure]:
    """What each process says; one that does not answer does not silence the others."""
    deadline = time.monotonic() + _ALL_REPLIES_S
    silent: list[str] = []
    for process, path in apis:
        left_s = deadline - time.monotonic()
        try:
            if left_s <= 0:
                raise MeasuringError("no time was left to ask it")
            text = ask(path, min(_REPLY_S, left_s))
            if text is not None:
                yield from own_figures(text, process)
        except (OSError, http.client.HTTPException, MeasuringError) as error:
            silent.append(f"{process}: {error}")
    if silent:
        raise MeasuringError(f"no figures of {'; '.join(silent)}")


def ask(path: str, timeout_s: float) -> str | None:
    """The page /metrics of an API process, None when it has no such page.

    Raises:
        OSError: when it does not answer in time.
        http.client.HTTPException: when it does not answer in HTTP.
        MeasuringError: when the page is too long, or it answers with an error.
    """
    connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(timeout_s)
        connection.sock.connect(path)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        body = response.read(MOST_BYTES + 1)
    finally:
        connection.close()
    if response.status == http.HTTPStatus.NOT_FOUND:
        return None
    if response.status != http.HTTPStatus.OK:
        raise MeasuringError(f"it answers {response.status}")
    if len(body) > MOST_BYTES:
        raise MeasuringError(f"its page is longer than {MOST_BYTES} bytes")
    return body.decode("utf-8", errors="replace")
