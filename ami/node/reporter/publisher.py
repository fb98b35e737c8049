"""Sends each minute to CloudWatch, and keeps what could not be sent for a while."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from ami.node import aws
from ami.node.document import Reporting
from ami.node.reporter import cloudwatch
from ami.node.reporter.cloudwatch import Datum
from ami.node.reporter.figures import Figure, Metric, Snapshot
from ami.node.reporter.names import MACHINE_DIMENSION

_log = logging.getLogger(__name__)

MINUTE_S: Final = 60
MOST_WAITING: Final = 1_000
"""Metrics that are kept while CloudWatch takes none, the latest ones: about two hours of a node."""

NEVER_TAKEN: Final = frozenset(
    ("InvalidParameterCombination", "InvalidParameterValue", "MissingParameter", "ValidationError")
)
"""What CloudWatch says to a call that would be wrong the next time too."""

JITTER_S: Final = 5.0
"""Machines do not all call in the same second."""

WAITING: Final = Metric(
    "isochrone_reporter_waiting_metrics", "gauge", "metrics that CloudWatch has not taken"
)
FAILURES: Final = Metric(
    "isochrone_reporter_publish_failures_total", "counter", "calls that CloudWatch did not take"
)
PUBLISHED_AT: Final = Metric(
    "isochrone_reporter_published_timestamp_seconds",
    "gauge",
    "when CloudWatch last took a minute (Unix time)",
)


class Publisher:
    """Sends data under the document's namespace and dimension.

    Args:
        reporting: where to send to.
        client: makes boto3's CloudWatch client, at the first call.
    """

    name = "publisher"

    def __init__(self, reporting: Reporting, client: Callable[[], Any]) -> None:
        self._reporting = reporting
        self._make_client = client
        self._client: Any = None
        self._waiting: deque[Datum] = deque(maxlen=MOST_WAITING)
        self._failures = 0
        self._published_at_s: float | None = None
        self._problem: str | None = None

    @property
    def alone(self) -> bool:
        """Whether the machine reports as one of its own, not as one of a group."""
        return self._reporting.dimension == MACHINE_DIMENSION

    def publish(self, minute: tuple[Datum, ...]) -> None:
        """Send a minute, and what waits from before; what CloudWatch does not take waits for the next one."""
        self._waiting.extend(minute)
        try:
            for batch in list(cloudwatch.batches(self._waiting)):
                self._put(batch)
                for _ in batch:
                    self._waiting.popleft()
        except aws.AwsError as error:
            self._failed(str(error))
        except aws.REFUSALS as error:
            self._failed(aws.reason(error))
            if aws.code(error) in NEVER_TAKEN:
                self._waiting.clear()
        else:
            self._published_at_s = time.time()
            self._tell(None)

    def collect(self) -> Iterator[Figure]:
        """See `Collector`: how the sending goes."""
        yield Figure(WAITING, len(self._waiting))
        yield Figure(FAILURES, self._failures)
        if self._published_at_s is not None:
            yield Figure(PUBLISHED_AT, self._published_at_s)

    def _failed(self, problem: str) -> None:
        self._failures += 1
        self._tell(problem)

    def _put(self, batch: tuple[Datum, ...]) -> None:
        if self._client is None:
            self._client = self._make_client()
        r = self._reporting
        self._client.put_metric_data(**cloudwatch.request(batch, r.namespace, r.dimension, r.dimension_value))

    def _tell(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            _log.info("CloudWatch takes the figures again")
        else:
            _log.warning("CloudWatch does not take the figures: %s", problem)


def next_minute_s(now_s: float) -> float:
    """When the minute after `now_s` begins (Unix time, s)."""
    return float((now_s // MINUTE_S + 1) * MINUTE_S)


def every_minute(
    publisher: Publisher,
    snapshot: Callable[[], Snapshot],
    stop: threading.Event,
    jitter_s: float | None = None,
) -> None:
    """Measure and send shortly after each minute, until told to stop.

    A minute has one value of each metric, so that sums over machines are right: it is stamped with its
    beginning. One that was slept through has none.

    Args:
        publisher: what sends.
        snapshot: measures.
        stop: ends this, at once.
        jitter_s: how long after the minute (s); by default random, the same every minute.
    """
    after_s = random.uniform(0, JITTER_S) if jitter_s is None else jitter_s  # noqa: S311
    before: Snapshot | None = None
    minute_s = 0.0
    while True:
        last_s, minute_s = minute_s, next_minute_s(time.time() - after_s)
        minute_s += MINUTE_S if minute_s == last_s else 0
        if stop.wait(max(0.0, minute_s + after_s - time.time())):
            return
        try:
            now = snapshot()
            at_s = int(minute_s) - MINUTE_S
            publisher.publish(cloudwatch.data(before, now, at_s, alone=publisher.alone))
            before = now
        except Exception:  # the next minute has to be sent whatever happens to this one
            _log.exception("a minute could not be reported")
