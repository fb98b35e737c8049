"""`python -m ami.node COMMAND`: the boot of a machine, and what runs beside its services until it goes."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ami.errors import AmiError
from ami.node import health, targets
from ami.node.boot import Boot
from ami.node.certificate_issue import CertificateIssue
from ami.node.certificate_watch import CertificateWatch
from ami.node.document import Document, DocumentError, decode
from ami.node.drain import POLL_S, Drain, HookError
from ami.node.health import Health
from ami.node.imds import Imds, MetadataError
from ami.node.paths import DOCUMENT
from ami.node.probes import probes
from ami.node.session_agent import SessionAgent
from ami.node.system import Disk, run
from ami.render import UnsafeValueError

_log = logging.getLogger(__name__)

WRONG: Final = 78
"""The status when the machine is told something wrong, which trying again does not change (EX_CONFIG)."""

FAILED: Final = 75
"""The status when something is missing that may come (EX_TEMPFAIL)."""


def boot(stop: threading.Event) -> None:
    """Bring the machine to what it is told; its services are started only when all is right."""
    Boot(Imds(), Disk(), run, sleep=lambda seconds: _wait(stop, seconds)).boot()


def watch_health(stop: threading.Event) -> None:
    """Tell the machine's group whether it can serve, until SIGTERM."""
    document, disk = _told(), Disk()
    watch = Health(tuple(probes(document, disk, run)), health.reporter(document, Imds().instance_id()), disk)
    while not stop.is_set():
        watch.look()
        stop.wait(health.INTERVAL_S)


def drain(stop: threading.Event) -> None:
    """Wait until the machine is to go, and see to it that nobody is on it then.

    On SIGTERM, with which a machine that is shut down ends its services, it leaves DNS health: systemd itself
    stops the services then, each of which sends its users away.
    """
    imds = Imds()
    work = Drain(_told(), imds.instance_id(), Disk(), run)
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
            except HookError as error:
                _log.error("%s", error)
            return
    work.begin()


def watch_certificate(stop: threading.Event) -> None:
    """Have the certificate issued where that is this machine's task, and bring it to nginx, until SIGTERM."""
    document = _told()
    looks: list[Callable[[], float]] = []
    if document.runs("certificate") and document.certificate is not None:
        looks.append(CertificateIssue(document, document.certificate, Imds().instance_id()).look)
    if document.runs("nginx"):
        looks.append(CertificateWatch(document, Disk(), run).look)
    due = [0.0] * len(looks)
    while looks and not stop.is_set():
        now = time.monotonic()
        due = [at if at > now else now + look() for at, look in zip(due, looks, strict=True)]
        stop.wait(max(0.0, min(due) - time.monotonic()))


def watch_targets(stop: threading.Event) -> None:
    """Keep the list of what Prometheus scrapes, until SIGTERM."""
    scraping = _told().scraping
    if scraping is None:
        return
    while not stop.is_set():
        targets.refresh(scraping, Disk())
        stop.wait(targets.INTERVAL_S)


def install_agent(_: threading.Event) -> None:
    """Install AWS's Systems Manager agent, whatever the machine is for and whether it could boot."""
    SessionAgent(Disk(), run).ensure(Imds().region())


COMMANDS: Final[Mapping[str, Callable[[threading.Event], None]]] = {
    "boot": boot,
    "health": watch_health,
    "drain": drain,
    "certificate": watch_certificate,
    "targets": watch_targets,
    "agent": install_agent,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; an error is one line on standard error, which the unit sends to the console as well."""
    parser = argparse.ArgumentParser(prog="python -m ami.node", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    command = parser.parse_args(arguments).command
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"isochrone {command}: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        COMMANDS[command](stop)
    except AmiError as error:
        what = "" if command == "agent" else "this machine stays out of service: "
        sys.stderr.write(f"isochrone {command}: {what}{_line(error)}\n")
        return WRONG if isinstance(error, DocumentError | UnsafeValueError) else FAILED
    return 0


def _line(error: AmiError) -> str:
    return " ".join(str(error).split())


def _told() -> Document:
    """What the boot was told.

    Raises:
        DocumentError: when the machine has not booted.
    """
    try:
        return decode(DOCUMENT.read_bytes())
    except OSError as error:
        raise DocumentError(
            f"{DOCUMENT}: {error.strerror}; the boot writes it: see `journalctl -u isochrone-boot`"
        ) from error


def _wait(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise InterruptedBootError("the boot was interrupted")


class InterruptedBootError(AmiError):
    """The boot was told to end before it was done."""


if __name__ == "__main__":
    sys.exit(main())
