"""Have the certificate issued where that is this machine's task, and bring it to nginx, until SIGTERM."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ami.node.certificate_watch import CertificateWatch
from ami.node.imds import Imds
from ami.node.system import Disk, run
from ami.node.told import told


def main(stop: threading.Event) -> None:
    """See `ami.node.certificate_issue` and `ami.node.certificate_watch`."""
    document = told()
    looks: list[tuple[Callable[[], float], float]] = []
    if document.runs("certificate") and document.certificate is not None:
        # Only the steward orders certificates: the others do without what that takes.
        from ami.node.certificate_issue import CertificateIssue  # noqa: PLC0415

        looks.append((CertificateIssue(document, document.certificate, Imds().instance_id()).look, 0.0))
    if document.runs("nginx"):
        watch = CertificateWatch(document, Disk(), run)
        looks.append((watch.look, time.monotonic() + watch.first_look_s()))
    while looks and not stop.is_set():
        now = time.monotonic()
        looks = [(look, at if at > now else now + look()) for look, at in looks]
        stop.wait(max(0.0, min(at for _, at in looks) - time.monotonic()))
