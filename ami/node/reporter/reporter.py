"""The reporter put together from the machine's document."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ami.node.document import Document, Endpoint
from ami.node.imds import Imds
from ami.node.reporter import clients, concurrently, listing
from ami.node.reporter.collectors.api import Api
from ami.node.reporter.collectors.machine import Cpu, Disk, Memory, Network
from ami.node.reporter.collectors.processes import Processes
from ami.node.reporter.collectors.redis_server import LedgerBacklog, RedisServer
from ami.node.reporter.collectors.sockets import Sockets
from ami.node.reporter.collectors.sql_server import SqlServer
from ami.node.reporter.exposition import CONTENT_TYPE, exposition
from ami.node.reporter.figures import Collector
from ami.node.reporter.gathering import Gatherer
from ami.node.reporter.journal import Journal
from ami.node.reporter.listing import Listing
from ami.node.reporter.log_shipper import KeptCursor, Shipper
from ami.node.reporter.log_stream import LogStream
from ami.node.reporter.publisher import Publisher, every_minute
from ami.node.reporter.server import Page, Server

METRICS_PATH: Final = "/metrics"
TARGETS_PATH: Final = "/targets"

REDIS_SECRET: Final = "redis-password"  # noqa: S105 - the name of one
SQL_SECRET: Final = "sql-reader"  # noqa: S105 - the name of one

LAST_CALL_S: Final = 1.0
"""How long the end waits for a call with logs that is under way, so that they are not sent again."""


@dataclass(frozen=True)
class Logs:
    """Where the machine's logs are.

    Args:
        state: the folder that keeps up to where they are shipped.
        journal: the folder of the journal; None for the machine's own.
    """

    state: Path
    journal: Path | None = None


def collectors(document: Document, secrets: Path) -> Iterator[Collector]:
    """What is measured on a machine: what every machine has, and what its services need.

    Args:
        document: what the machine is told.
        secrets: the folder in which each secret is a file.
    """
    yield from (Cpu(), Memory(), Disk(), Network(), Sockets(), Processes())
    if document.runs("api"):
        yield Api()
    if document.redis is not None:
        password = secrets / REDIS_SECRET
        user = "app" if document.redis.sentinels else None
        port = document.redis.master.port
        masters = [Endpoint(s.host, port) for s in document.redis.sentinels] or [document.redis.master]
        if document.runs("redis"):
            yield RedisServer(document.redis.read, password, user)
        if document.runs("ledger"):
            yield LedgerBacklog(tuple(masters), password, user)
    if document.sql is not None and document.runs("mariadb") and SQL_SECRET in document.sql.users:
        yield SqlServer(document.sql.read, document.sql.users[SQL_SECRET], secrets / SQL_SECRET)


def shipper(document: Document, logs: Logs, stop: threading.Event) -> Shipper:
    """What ships the machine's logs into its role's group, as the stream of its id."""

    def name() -> str:
        # What is not answered at once is asked again with the next attempt.
        return Imds(patience_s=0).instance_id()

    def client() -> Any:
        return clients.client("logs", document.region)

    stream = LogStream(document.reporting.log_group, name, client)
    return Shipper(Journal(logs.journal), KeptCursor(logs.state), stream, stop)


def run(document: Document, secrets: Path, address: str, stop: threading.Event, logs: Logs) -> None:
    """Answer Prometheus, tell CloudWatch and ship logs until told to stop.

    Args:
        document: what the machine is told.
        secrets: the folder in which each secret is a file.
        address: the machine's private address.
        stop: ends this, at once.
        logs: where the machine's logs are.

    Raises:
        ReporterError: when nothing can be answered at the address.
    """
    reporting = document.reporting

    def client() -> Any:
        return clients.client("cloudwatch", document.region)

    publisher = Publisher(reporting, client)
    listed = Listing(document.listing) if document.listing else None
    shipping = shipper(document, logs, stop)
    gatherer = Gatherer([*collectors(document, secrets), publisher, shipping, *([listed] if listed else [])])
    pages = {METRICS_PATH: Page(CONTENT_TYPE, lambda: exposition(gatherer.snapshot().figures))}
    if listed is not None:
        pages[TARGETS_PATH] = Page(
            "application/json", lambda: listing.to_json(listed.machines(), reporting.metrics_port)
        )
    Server(address, reporting.metrics_port, pages).start()
    concurrently.start(lambda: every_minute(publisher, gatherer.snapshot, stop), "publisher")
    ships = concurrently.start(shipping.run, "logs")
    stop.wait()
    shipping.end()
    concurrently.wait_for([ships], LAST_CALL_S)
