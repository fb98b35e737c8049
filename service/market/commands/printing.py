"""What is in the databases, printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
import typer

from market import audit_dump, journal_status
from market import counters as counting
from market import dump as dumping
from market import inventory as taking
from market.commands import SettingsFile, loaded


def dump(settings: SettingsFile) -> None:
    """Print the sums in Redis and the rows in SQL as lines of JSON."""
    found = loaded("dump", settings)
    _print([dumping.sums(found)])
    _print(dumping.rows(found))


def inventory(settings: SettingsFile) -> None:
    """Print every account, pool, receipt, entry of the journal and row in SQL as lines of JSON."""
    _print(taking.entries(loaded("inventory", settings)))


def audit(
    settings: SettingsFile,
    user: Annotated[str | None, typer.Option(help="Whose; without it everybody's.")] = None,
) -> None:
    """Print the audit log as lines of JSON, complete at this moment."""
    for line in audit_dump.lines(loaded("audit", settings), user):
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


def status(settings: SettingsFile) -> None:
    """Print how the journal stands as JSON."""
    _print([journal_status.status(loaded("status", settings))])


def counters(settings: SettingsFile) -> None:
    """Print what the databases of a process have served as a line of JSON."""
    _print([counting.counters(loaded("counters", settings))])


def _print(entries: Iterable[Any]) -> None:
    encode = msgspec.json.Encoder().encode
    for entry in entries:
        sys.stdout.write(encode(entry).decode() + "\n")
