"""`python -m ami.node COMMAND`: the boot of a machine, and what runs beside its services until it goes."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from ami.errors import AmiError, UnsafeValueError
from ami.node.document import DocumentError

COMMANDS: Final = ("boot", "health", "drain", "certificate", "targets", "agent")
"""Each is `main` of the module of its name in `ami.node.commands`."""

BESIDE: Final = ("agent",)
"""Those without which the machine serves all the same."""

WRONG: Final = 78
"""The status when the machine is told something wrong, which trying again does not change (EX_CONFIG)."""

FAILED: Final = 75
"""The status when something is missing that may come (EX_TEMPFAIL)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; an error is one line on standard error, which the unit sends to the console as well."""
    parser = argparse.ArgumentParser(prog="python -m ami.node", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    command = parser.parse_args(arguments).command
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"isochrone {command}: %(message)s")
    # How it finds its endpoint and its credentials is of no use on a console.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        importlib.import_module(f"ami.node.commands.{command}").main(stop)
    except AmiError as error:
        what = "" if command in BESIDE else "this machine stays out of service: "
        sys.stderr.write(f"isochrone {command}: {what}{_line(error)}\n")
        return WRONG if isinstance(error, DocumentError | UnsafeValueError) else FAILED
    return 0


def _line(error: AmiError) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
