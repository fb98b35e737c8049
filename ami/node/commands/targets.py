"""Keep the list of what Prometheus scrapes, until SIGTERM."""

from __future__ import annotations

import threading

from ami.node import targets
from ami.node.system import Disk
from ami.node.told import told


def main(stop: threading.Event) -> None:
    """See `ami.node.targets`."""
    scraping = told().scraping
    if scraping is None:
        return
    while not stop.is_set():
        targets.refresh(scraping, Disk())
        stop.wait(targets.INTERVAL_S)
