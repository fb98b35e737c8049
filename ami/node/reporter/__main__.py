"""`python -m ami.node.reporter`: measure the machine until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Final

import typer

from ami.errors import AmiError
from ami.node import document as documents
from ami.node import paths
from ami.node.reporter.errors import ReporterError
from ami.node.reporter.reporter import Logs, run
from ami.node.reporter.server import checked_address, private_address

_log = logging.getLogger(__name__)

WRONG: Final = 78
"""The status when the machine is told something wrong, which trying again does not change (EX_CONFIG)."""

FAILED: Final = 75
"""The status when something is missing that may come (EX_TEMPFAIL)."""

app = typer.Typer(add_completion=False)


@app.command()
def reporter(
    document: Annotated[Path, typer.Option(help="What the machine is told: its user data.")] = paths.DOCUMENT,
    secrets: Annotated[Path, typer.Option(help="The folder in which each secret is a file.")] = paths.SECRETS,
    address: Annotated[
        str | None, typer.Option(help="Where to answer; by default the machine's private address.")
    ] = None,
    state: Annotated[
        Path, typer.Option(help="The folder that keeps up to where the logs are shipped.")
    ] = paths.REPORTER_STATE,
    journal: Annotated[
        Path | None, typer.Option(help="The folder of the journal; by default the machine's own.")
    ] = None,
) -> None:
    """Measure the machine: answer Prometheus privately, tell CloudWatch once a minute, and ship the logs."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        text = document.read_bytes()
    except OSError as error:
        raise ReporterError(f"cannot read {document}: {error.strerror}; has the machine booted?") from error
    told = documents.decode(text)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    where = private_address() if address is None else checked_address(address)
    _log.info("answering Prometheus at %s:%d", where, told.reporting.metrics_port)
    run(told, secrets, where, stop, Logs(state, journal))


def main() -> None:
    """Run it; an error is one line on standard error."""
    try:
        app()
    except AmiError as error:
        sys.stderr.write(f"reporter: {error}\n")
        sys.exit(WRONG if isinstance(error, documents.DocumentError) else FAILED)


if __name__ == "__main__":
    main()
