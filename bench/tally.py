"""What a load worker counts while it runs."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from typing import Final

from bench.histogram import Histogram
from bench.outcome import Outcome, Position, Prediction, Reception
from bench.plan import Plan
from bench.result import ASKED, LATENCIES


class Stream:
    """One broadcast's way to a worker's users; times in microseconds since 1970."""

    __slots__ = ("first_us", "last_us", "published_us", "receivers")

    def __init__(self, published_us: int, now_us: int) -> None:
        self.published_us = published_us
        self.first_us = now_us
        self.last_us = now_us
        self.receivers = 0


class Tally:
    """The counts of one worker."""

    def __init__(self) -> None:
        self.latency: Final = {quantity: Histogram() for quantity in LATENCIES}
        self.lag: Final = Histogram()
        self.errors: Final[Counter[str]] = Counter()
        self.due: Final[Counter[str]] = Counter()
        self.answered: Final[Counter[str]] = Counter()
        self.opened = 0
        self.failed = 0
        self.lost = 0
        self.requests = 0
        self.received = 0
        self.missed = 0
        self.duplicate = 0
        self.early = 0
        self.outstanding = 0
        self.settled_us = 0
        self.until_us = sys.maxsize
        """Broadcasts published later do not count: the users are leaving (microseconds since 1970)."""
        self.acknowledged: Final[list[Prediction]] = []
        self.unanswered: Final[list[Prediction]] = []
        self._streams: Final[dict[tuple[str, int, int], Stream]] = {}
        self._worst_lag_us = 0

    def late(self, lag_us: int) -> None:
        """An action was begun this much after its intended time."""
        self.lag.record(lag_us)
        self._worst_lag_us = max(self._worst_lag_us, lag_us)

    def worst_lag_ms(self) -> float:
        """The greatest lag since this was last asked (ms)."""
        worst, self._worst_lag_us = self._worst_lag_us, 0
        return worst / 1000

    def broadcast(self, pool: str, epoch: int, offset: int, published_us: int, now_us: int) -> None:
        """A user received a broadcast."""
        self.received += 1
        self.early += now_us < published_us
        self.latency["broadcast"].record(now_us - published_us)
        stream = self._streams.get((pool, epoch, offset))
        if stream is None:
            stream = self._streams[pool, epoch, offset] = Stream(published_us, now_us)
        stream.last_us = now_us
        stream.receivers += 1

    def receptions(self) -> list[Reception]:
        """Each broadcast that any user received."""
        return [
            Reception(*key, stream.published_us, stream.first_us, stream.last_us, stream.receivers)
            for key, stream in self._streams.items()
        ]

    def latest(self, before_us: int) -> dict[str, tuple[int, int]]:
        """By pool, the (epoch, offset) of the last broadcast published until then that any user received."""
        latest: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for (pool, epoch, offset), stream in self._streams.items():
            if stream.published_us <= before_us:
                latest[pool] = max(latest[pool], (epoch, offset))
        return dict(latest)

    def outcome(
        self,
        plan: Plan,
        positions: list[Position],
        *,
        started_us: int,
        ended_us: int,
        complete: bool,
        cpu_s: float,
    ) -> Outcome:
        """Everything, to be written down."""
        return Outcome(
            region=plan.region,
            users=plan.users,
            connected=self.opened,
            failed=self.failed,
            lost=self.lost,
            requests=self.requests,
            received=self.received,
            missed=self.missed,
            duplicate=self.duplicate,
            early=self.early,
            latency={quantity: histogram.state() for quantity, histogram in self.latency.items()},
            lag=self.lag.state(),
            errors=dict(sorted(self.errors.items())),
            due={quantity: self.due[quantity] for quantity in ASKED},
            answered={quantity: self.answered[quantity] for quantity in ASKED},
            receptions=self.receptions(),
            positions=positions,
            started_us=started_us,
            settled_us=self.settled_us,
            ended_us=ended_us,
            acknowledged=self.acknowledged,
            unanswered=self.unanswered,
            complete=complete,
            cpu_s=cpu_s,
        )
