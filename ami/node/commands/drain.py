"""Wait until the machine is to go, and see to it that nobody is on it then."""

from __future__ import annotations

import logging
import threading

from ami.node.drain import POLL_S, Drain
from ami.node.group import GroupError
from ami.node.imds import Imds, MetadataError
from ami.node.system import Disk, run
from ami.node.told import told

_log = logging.getLogger(__name__)


def main(stop: threading.Event) -> None:
    """See `ami.node.drain`.

    On SIGTERM, with which a machine that is shut down ends its services, it leaves DNS health: systemd itself
    stops the services then, each of which sends its users away.
    """
    imds = Imds()
    work = Drain(told(), imds.instance_id(), Disk(), run)
    work.cancel()
    while not stop.wait(POLL_S):
        try:
            why = imds.leaving()
        except MetadataError as error:
            _log.warning("%s", error)
            continue
        if why is not None:
            try:
                work.leave(why)
            except GroupError as error:
                _log.error("%s", error)
            return
    work.begin()
