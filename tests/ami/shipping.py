"""A shipper at work in a test, and CloudWatch Logs as it meets it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from ami.node.reporter.journal import Journal
from ami.node.reporter.log_shipper import KeptCursor, Shipper
from ami.node.reporter.log_stream import LogStream

GROUP = "/isochrone/geo-ii/node"
MACHINE = "i-0123456789abcdef0"
WAIT_S = 30.0

AWAY = EndpointConnectionError(endpoint_url="https://logs.eu-west-1.amazonaws.com/")


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PutLogEvents")


DENIED = refusal("AccessDeniedException", "is not authorized to perform: logs:PutLogEvents")


@dataclass
class Cloud:
    """CloudWatch Logs as a client of moto's server; with an error, as one that takes nothing."""

    client: Any
    error: Exception | None = None
    answer: Mapping[str, Any] | None = None
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    calls: int = 0
    happens: threading.Condition = field(default_factory=threading.Condition)

    def put_log_events(self, **arguments: Any) -> Mapping[str, Any]:
        with self.happens:
            self.calls += 1
            self.happens.notify_all()
            if self.error is not None:
                self.refused += 1
                raise self.error
        found: Mapping[str, Any] = self.client.put_log_events(**arguments)
        with self.happens:
            self.taken += [event["message"] for event in arguments["logEvents"]]
            self.happens.notify_all()
        return self.answer or found

    def create_log_stream(self, **arguments: Any) -> None:
        self.client.create_log_stream(**arguments)

    def becomes(self, error: Exception | None) -> None:
        with self.happens:
            self.error = error

    def until_taken(self, events: int) -> None:
        self._until(lambda: len(self.taken) >= events)

    def until_refused(self, calls: int) -> None:
        self._until(lambda: self.refused >= calls)

    def _until(self, condition: Any) -> None:
        with self.happens:
            assert self.happens.wait_for(condition, WAIT_S), (self.taken, self.refused)

    def stored(self, stream: str = MACHINE) -> list[str]:
        """What the stream has, without who wrote it."""
        found = self.client.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
        return [event["message"].partition(" INFO ")[2] or event["message"] for event in found["events"]]


class Running:
    """A shipper at work in a thread."""

    def __init__(
        self,
        cloud: Cloud,
        directory: Path,
        state: Path,
        program: Sequence[str] = ("journalctl",),
        send_s: float = 0.05,
    ) -> None:
        self.stop = threading.Event()
        self.journal = Journal(directory, program)
        stream = LogStream(GROUP, lambda: MACHINE, lambda: cloud)
        self.shipper = Shipper(
            self.journal, KeptCursor(state), stream, self.stop, send_s=send_s, pause_s=0.05
        )
        self.thread = threading.Thread(target=self.shipper.run)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.shipper.end()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def figures(self) -> dict[str, float]:
        return {figure.metric.name: figure.value for figure in self.shipper.collect()}
