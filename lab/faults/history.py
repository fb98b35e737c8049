"""The clients' records together, as the driver has them so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from lab.faults.records import (
    Acknowledged,
    Failed,
    Idle,
    Joined,
    Lost,
    Pushed,
    Record,
    Refused,
    Sent,
    StateLost,
)

Name = tuple[str, str]
"""A prediction's: its user and its key."""


class History:
    """What the clients saw, in the order of its arrival.

    Args:
        regions: where each user is.

    Attributes:
        sent: by name, the predictions that were sent.
        acknowledged: the receipts, repeated ones too.
        refused: by name, the code of a prediction that was refused for good.
        received: by user, the pushes, and what was said about where they begin, as they came in.
        joined: the users that are connected now.
        drops: how often a connection that had joined ended, by close code.
        failures: how often a user could not connect, by reason.
    """

    def __init__(self, regions: Mapping[str, str]) -> None:
        self.regions = regions
        self.sent: dict[Name, Sent] = {}
        self.acknowledged: list[Acknowledged] = []
        self.refused: dict[Name, int] = {}
        self.received: defaultdict[str, list[Joined | StateLost | Pushed]] = defaultdict(list)
        self.joined: set[str] = set()
        self.drops: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self._presence: list[tuple[float, int]] = []
        self._idle: Counter[int] = Counter()

    def add(self, record: Record) -> None:
        """Takes a record up."""
        match record:
            case Joined():
                self.joined.add(record.user)
                self.received[record.user].append(record)
                self._presence.append((record.at_s, 1))
            case Lost():
                self.joined.discard(record.user)
                self.drops[record.code] += 1
                self._presence.append((record.at_s, -1))
            case Failed():
                self.failures[record.why] += 1
            case Sent():
                self.sent[record.user, record.key] = record
            case Acknowledged():
                self.acknowledged.append(record)
            case Refused():
                self.refused[record.user, record.key] = record.code
            case Pushed() | StateLost():
                self.received[record.user].append(record)
            case Idle():
                self._idle[record.pause] += 1

    def idle(self, pause: int) -> int:
        """How many load generators have answered a pause."""
        return self._idle[pause]

    @property
    def complete(self) -> bool:
        """Whether every user is connected."""
        return len(self.joined) == len(self.regions)

    def served_after(self, moment_s: float) -> dict[str, float]:
        """By region, how long after a moment the first prediction sent since then was acknowledged (s)."""
        first: dict[str, float] = {}
        for receipt in self._since(moment_s):
            if receipt.sent_s >= moment_s:
                region = self.regions[receipt.user]
                first[region] = min(first.get(region, receipt.at_s), receipt.at_s)
        return {region: at_s - moment_s for region, at_s in first.items()}

    def served(self, regions: Collection[str], moment_s: float) -> bool:
        """Whether a prediction sent after a moment was acknowledged in each of the regions."""
        return self.served_after(moment_s).keys() >= set(regions)

    def complete_after(self, moment_s: float) -> float | None:
        """How long after a moment everyone was connected for good (s); none when some are not."""
        if not self.complete:
            return None
        present, complete_s = 0, moment_s
        for at_s, change in sorted(self._presence):
            if present < len(self.regions):
                complete_s = at_s
            present += change
        return max(0.0, complete_s - moment_s)

    def _since(self, moment_s: float) -> Iterator[Acknowledged]:
        """The receipts since a moment; the generators' lines arrive within a second of one another."""
        for receipt in reversed(self.acknowledged):
            if receipt.at_s < moment_s - 1.0:
                return
            if receipt.at_s >= moment_s:
                yield receipt
