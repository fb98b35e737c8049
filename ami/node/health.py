"""The machine says of itself whether it can serve; there is no load balancer to say it.

Its group waits for it to say so the first time, by a hook that the machine completes: a rollout ends no old
machine for a new one that never came up.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ami.node.document import Document
from ami.node.group import GroupError, GroupMember, Status
from ami.node.paths import DRAINING
from ami.node.probes import Probe
from ami.node.system import Disk

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 10.0
FAILURES: Final = 6
"""How many looks in a row may fail before the machine is given up: a minute, longer than a restart."""


class Member(Protocol):
    """A machine as a member of its group (`ami.node.group.GroupMember`)."""

    def has_launched(self) -> None:
        """Say that it can serve for the first time."""

    def report(self, status: Status) -> None:
        """Say whether it can serve."""


def member(document: Document, instance_id: str) -> Member | None:
    """Who tells the machine's group; None when it has none, or must not be replaced on its own word.

    A machine that keeps the data itself is not: the one in its place would begin with nothing.
    """
    if document.group is None or keeps_data(document):
        return None
    return GroupMember(document.group, document.region, instance_id)


def keeps_data(document: Document) -> bool:
    """Whether data is on the machine that is nowhere else."""
    master = document.runs("redis") and document.redis is not None and document.redis.runs == "master"
    return document.runs("mariadb") or master


@dataclass
class Health:
    """What was seen so far.

    Args:
        probes: what has to be right.
        group: who tells the group; None where nobody is told.
        disk: where it can be seen that the machine drains.
    """

    probes: Sequence[Probe]
    group: Member | None
    disk: Disk
    _could: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    _launched: bool = field(default=False, init=False)
    _told: Status | None = field(default=None, init=False)

    def look(self) -> None:
        """Look once, and tell the group what has changed.

        A machine is reported unhealthy only after it could serve: one that never could has wrong settings,
        and so would have the next one; a group that waits for it gives it up in its own time. While it
        drains, it is going anyway.
        """
        if self.disk.at(DRAINING).exists():
            return
        problems = [problem for probe in self.probes if (problem := probe()) is not None]
        if not problems:
            if self._failures or not self._could:
                _log.info("this machine can serve")
            self._could, self._failures = True, 0
            if self._has_launched():
                self._tell("Healthy")
            return
        self._failures += 1
        if self._failures in (1, FAILURES):
            _log.warning("this machine cannot serve: %s", "; ".join(problems))
        if self._could and self._failures >= FAILURES:
            self._tell("Unhealthy")

    def _has_launched(self) -> bool:
        """Whether the group need not wait for this machine any longer: it takes no status of one before."""
        if self.group is None or self._launched:
            return True
        try:
            self.group.has_launched()
        except GroupError as error:
            _log.warning("%s", error)
            return False
        self._launched = True
        return True

    def _tell(self, status: Status) -> None:
        if self.group is None or self._told == status:
            return
        try:
            self.group.report(status)
        except GroupError as error:
            _log.warning("%s", error)
            return
        self._told = status
        _log.info("the group was told that this machine is %s", status)
