"""Tell the machine's group whether it can serve, until SIGTERM."""

from __future__ import annotations

import threading

from ami.node import health
from ami.node.health import Health
from ami.node.imds import Imds
from ami.node.probes import probes
from ami.node.system import Disk, run
from ami.node.told import told


def main(stop: threading.Event) -> None:
    """See `ami.node.health`."""
    document, disk = told(), Disk()
    watch = Health(tuple(probes(document, disk, run)), health.member(document, Imds().instance_id()), disk)
    while not stop.is_set():
        watch.look()
        stop.wait(health.INTERVAL_S)
