"""How a machine goes: out of DNS first, then its users, then itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ami.node.document import Document
from ami.node.group import GroupMember
from ami.node.paths import DRAINING
from ami.node.plan import API_UNITS, UNIT_OF
from ami.node.system import Disk, File, Run

_log = logging.getLogger(__name__)

POLL_S: Final = 5.0
"""How often the metadata service is asked whether the machine is to go."""

LEAVE_DNS_S: Final = 90.0
"""Three failed health checks of Route53, 10 s apart, and the 60 s that earlier answers live."""

STOP_S: Final = 60.0
"""How long the processes may take to send their users away and finish what they have acknowledged.

Together with `LEAVE_DNS_S` it is well inside the five minutes that the group's hook gives.
"""

AFTERWARDS: Final = (("feed", "resolver"), ("ledger",))
"""What finishes after the users are gone, the journal last; each group together."""

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Drain:
    """What draining needs.

    Args:
        document: what the machine was told.
        instance_id: its id.
        disk: where nginx sees that the machine drains.
        run: how units are stopped.
        sleep: how to wait.
    """

    document: Document
    instance_id: str
    disk: Disk
    run: Run
    sleep: Sleep = time.sleep

    def begin(self) -> None:
        """Leave DNS health: nginx answers its checks with 503 from now on, and serves who is there."""
        self.disk.write(File(DRAINING, "draining\n"))

    def cancel(self) -> None:
        """Come back to DNS health, as a machine that starts does."""
        self.disk.at(DRAINING).unlink(missing_ok=True)

    def leave(self, why: str) -> None:
        """Leave DNS, send the users away, and tell the group that nothing is left to wait for.

        Raises:
            GroupError: when the group cannot be told.
        """
        _log.info("this machine drains: %s", why)
        self.begin()
        if self.document.runs("nginx"):
            self.sleep(LEAVE_DNS_S)
        for units in self._units():
            done = self.run(["systemctl", "stop", *units], STOP_S)
            if done.status != 0:
                _log.warning("%s did not end as it should: %s", " ".join(units), done.output)
        self._complete()

    def _units(self) -> Iterator[tuple[str, ...]]:
        """What has something to finish, the users first; a stop is a SIGTERM, on which each does."""
        if self.document.runs("api"):
            yield (API_UNITS,)
        for services in AFTERWARDS:
            if units := tuple(UNIT_OF[service] for service in services if self.document.runs(service)):
                yield units

    def _complete(self) -> None:
        group = self.document.group
        if group is None:
            return
        GroupMember(group, self.document.region, self.instance_id).has_drained()
        _log.info("this machine has drained")
